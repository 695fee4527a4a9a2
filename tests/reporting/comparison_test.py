import numpy as np
import pytest

from keras_tc2 import transfer
from tests.test_case import TestCase


def report(name, *, accuracy, seeds=1, images=400, protocols=("knn",), noise=0.0):
    """A report whose images are right by chance, the same luck for every encoder."""
    rows = []
    for seed in range(seeds):
        luck = np.random.default_rng(seed).uniform(size=images)
        extra = noise * np.random.default_rng([seed, len(name)]).normal()
        for protocol in protocols:
            right = luck < accuracy + extra
            rows.append(
                {
                    "encoder": name,
                    "dataset": "d",
                    "protocol": protocol,
                    "accuracy": right.mean(),
                    "seed": seed,
                    "per_image": right,
                }
            )
    return transfer.TransferReport(rows)


class CompareTest(TestCase):
    def test_bootstrap_is_paired(self):
        first, second = report("a", accuracy=0.8), report("b", accuracy=0.75)
        comparison = first.compare(second)
        row = comparison.differences[0]
        difference = first.rows[0]["per_image"] - second.rows[0]["per_image"]
        self.assert_close(row.mean, difference.mean())
        # Normal theory of the mean of paired differences.
        half = 1.96 * difference.std() / 20
        expected = difference.mean() - half, difference.mean() + half
        self.assert_close(row.image_interval, expected, atol=0.004)
        # Unpaired, the interval would be thrice as wide and hold zero.
        unpaired = 1.96 * np.sqrt((0.8 * 0.2 + 0.75 * 0.25) / 400)
        assert unpaired > 2 * half and row.image_interval[0] > 0

    def test_seeds_give_a_t_interval(self):
        from scipy import stats

        first = report("a", accuracy=0.8, seeds=5, noise=0.01)
        second = report("bb", accuracy=0.7, seeds=5, noise=0.01)
        comparison = first.compare(second)
        values = comparison.differences[0].per_seed
        assert len(values) == 5 and np.std(values) > 0
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        self.assert_close(comparison.differences[0].seed_interval, expected)
        self.assert_close(comparison.overall.seed_interval, expected)
        self.assert_close(comparison.differences[0].seed_spread, np.std(values, ddof=1))
        assert "a is above bb by" in comparison.finding
        assert "over 5 paired seeds, which excludes zero." in comparison.finding

    def test_no_difference_is_said_plainly(self):
        first = report("a", accuracy=0.8, seeds=5, noise=0.05)
        second = report("bb", accuracy=0.8, seeds=5, noise=0.05)
        finding = first.compare(second).finding
        assert finding.startswith("No difference is shown between a and bb")
        assert "includes zero" in finding

    def test_one_seed_says_what_it_does_not_cover(self):
        first, second = report("a", accuracy=0.6), report("b", accuracy=0.8)
        finding = first.compare(second).finding
        assert "a is below b by" in finding and "over test images" in finding
        assert finding.endswith("encoders trained again may differ by more.")

    def test_order_of_rows_does_not_matter(self):
        first = report("a", accuracy=0.8, seeds=3, protocols=("knn", "linear"))
        second = report("b", accuracy=0.7, seeds=3, protocols=("linear", "knn"))
        second.rows.reverse()
        comparison = first.compare(second)
        for row in comparison.differences:
            assert all(difference > 0.05 for difference in row.per_seed)
        assert comparison.num_averaged == 2

    def test_overall_counts_accuracies_only(self):
        first, second = report("a", accuracy=0.8), report("b", accuracy=0.7)
        for one, value in ((first, 0.9), (second, 0.1)):
            row = {**one.rows[0], "protocol": "clustering", "metric": "nmi"}
            one.rows.append({**row, "value": value, "per_image": None})
        comparison = first.compare(second)
        assert comparison.overall.name == "mean accuracy"
        self.assert_close(comparison.overall.mean, comparison.differences[0].mean)
        assert comparison.differences[1].image_interval is None
        assert "| d, clustering (NMI) | +80.00 |  |" in comparison.to_markdown()

    def test_overall_rests_on_whole_seeds(self):
        first = report("a", accuracy=0.8, seeds=3, protocols=("knn", "linear"))
        second = report("b", accuracy=0.7, seeds=3, protocols=("knn", "linear"))
        whole = transfer.TransferReport([row for row in first.rows if row["seed"] < 2])
        expected = whole.compare(second)
        last = next(row for row in first.rows if row["seed"] == 2)
        broken = {**last, "value": 0.0, "per_image": np.zeros(400)}
        comparison = transfer.TransferReport([*whole.rows, broken]).compare(second)
        assert comparison.differences[0].mean < expected.differences[0].mean
        assert comparison.overall == expected.overall
        assert comparison.finding == expected.finding

    def test_dict_and_seed(self):
        first, second = report("a", accuracy=0.8), report("b", accuracy=0.75)
        once, again, other = (
            first.compare(second, seed=seed).to_dict() for seed in (0, 0, 1)
        )
        assert once == again != other

    def test_errors(self):
        first, second = report("a", accuracy=0.8), report("b", accuracy=0.7)
        joined = transfer.TransferReport.join([first, second])
        with pytest.raises(ValueError, match="one encoder each"):
            joined.compare(second)
        self.assert_close(
            joined.only("a").compare(second).overall.mean,
            first.compare(second).overall.mean,
        )
        with pytest.raises(ValueError, match="encoder"):
            joined.only("c")
        second.rows[0]["dataset"] = "other"
        with pytest.raises(ValueError, match="nothing is paired"):
            first.compare(second)


class MarkdownTest(TestCase):
    def test_a_bar_in_a_name_makes_no_column(self):
        text = str(report("a|b", accuracy=0.8).compare(report("c", accuracy=0.7)))
        header, rule = text.splitlines()[:2]
        assert header.startswith(r"| a\|b − c | points |")
        assert header.count(" | ") == rule.count(" | ")
