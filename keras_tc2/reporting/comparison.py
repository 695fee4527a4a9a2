"""Two reports compared row by row: paired differences and how sure they are."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from keras_tc2.annotations import Figure, PathLike
from keras_tc2.reporting.markdown_table import markdown_table
from keras_tc2.reporting.measures import measurement_name
from keras_tc2.reporting.report_table import row_key

# Resamples drawn at once, so that memory does not grow with their number.
RESAMPLES_AT_ONCE = 50
MEAN_ACCURACY = "mean accuracy"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference of one number between two encoders, in its own units (0 to 1).

    Args:
        name: str. Dataset and protocol, or `"mean"`.
        mean: float. First minus second, averaged over seeds.
        per_seed: list of floats, one a seed.
        image_interval: (low, high) or None. Bootstrap over test images: what other
            test images of the same kind could have shown of these very encoders.
        seed_interval: (low, high) or None. Student's t over seeds: what encoders
            trained again could show. None for a single seed.
    """

    name: str
    mean: float
    per_seed: list
    image_interval: tuple | None
    seed_interval: tuple | None

    @property
    def seed_spread(self) -> float | None:
        """Standard deviation over seeds, or None for a single one."""
        return float(np.std(self.per_seed, ddof=1)) if len(self.per_seed) > 1 else None


class Comparison:
    """What `TransferReport.compare` found.

    Attributes:
        first, second: names of the two encoders.
        differences: list of `Difference`, one a dataset, protocol and metric.
        overall: `Difference` of the mean over those that are accuracies.
        num_averaged: int. How many those are.
        confidence: float. Coverage of the intervals.
    """

    def __init__(
        self,
        first: str,
        second: str,
        differences: list[Difference],
        overall: Difference,
        num_averaged: int,
        confidence: float,
    ) -> None:
        self.first = first
        self.second = second
        self.differences = differences
        self.overall = overall
        self.num_averaged = num_averaged
        self.confidence = confidence

    @property
    def finding(self) -> str:
        """The result in a plain sentence."""
        overall, percent = self.overall, f"{100 * self.confidence:g} %"
        seeds = len(overall.per_seed)
        interval = overall.seed_interval or overall.image_interval
        what = "accuracies" if overall.name == MEAN_ACCURACY else "measurements"
        over = f"in the mean of {self.num_averaged} {what}"
        if len(self.differences) == 1:
            over = f"on {self.differences[0].name}"
        size = f"{100 * abs(overall.mean):.2f} points"
        if interval is None:
            number = "one seed" if seeds else "no whole seed"
            return (
                f"{self.first} and {self.second} differ by {size} {over}; {number} "
                "without per-image results gives no interval."
            )
        low, high = (f"{100 * bound:+.2f}" for bound in interval)
        source = f"{seeds} paired seeds" if overall.seed_interval else "test images"
        if interval[0] <= 0 <= interval[1]:
            finding = (
                f"No difference is shown between {self.first} and {self.second}: "
                f"{100 * overall.mean:+.2f} points {over}, {percent} interval {low} to "
                f"{high} over {source}, which includes zero."
            )
        else:
            side = "above" if overall.mean > 0 else "below"
            finding = (
                f"{self.first} is {side} {self.second} by {size} {over}, {percent} "
                f"interval {low} to {high} over {source}, which excludes zero."
            )
        if seeds == 1:
            finding += " With one seed, encoders trained again may differ by more."
        return finding

    def to_dict(self) -> dict[str, Any]:
        """Everything, in JSON values."""
        return {
            "first": self.first,
            "second": self.second,
            "confidence": self.confidence,
            "finding": self.finding,
            "differences": [dataclasses.asdict(row) for row in self.differences],
            "overall": dataclasses.asdict(self.overall),
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table of differences, as text, in points."""
        percent = f"{100 * self.confidence:g} %"
        header = [
            f"{self.first} − {self.second}",
            "points",
            f"{percent} over test images",
            "sd over seeds",
            f"{percent} over seeds",
        ]
        rows = []
        for row in [*self.differences, self.overall]:
            spread = row.seed_spread
            rows.append(
                [
                    row.name,
                    f"{100 * row.mean:+.2f}",
                    _interval(row.image_interval),
                    "" if spread is None else f"{100 * spread:.2f}",
                    _interval(row.seed_interval),
                ]
            )
        # Without seeds, or without results an image, their columns would be empty.
        held = [i for i in range(len(header)) if any(row[i] for row in rows)]
        return [header[i] for i in held], [[row[i] for i in held] for row in rows]

    def to_markdown(self) -> str:
        """The table of differences in points, and the finding."""
        header, rows = self.table()
        table = markdown_table(header, rows, num_text_columns=1)
        return f"{table}\n\n{self.finding}\n"

    def plot(self, path: PathLike | None = None) -> Figure:
        """Every difference and its intervals; also saved to `path` if one is given.

        Returns:
            `matplotlib.figure.Figure`.
        """
        from keras_tc2.reporting.comparison_figure import comparison_figure

        figure = comparison_figure(self)
        if path is not None:
            figure.savefig(pathlib.Path(path).expanduser(), dpi=150)
        return figure

    def __str__(self) -> str:
        """The Markdown table and the finding."""
        return self.to_markdown()


def compare(first, second, *, confidence, num_resamples, seed):
    """The `Comparison` of two reports of one encoder each.

    Raises:
        ValueError: if a report holds several encoders, or they share no row.
    """
    for report in (first, second):
        if len(report.encoders) != 1:
            raise ValueError(
                "A comparison is between two reports of one encoder each; take one "
                f"with `report.only(name)`. Received the encoders {report.encoders}."
            )
    pairs = _pairs(first, second)
    generator = np.random.default_rng(seed)
    differences = []
    for (dataset, *_), rows in pairs.items():
        per_seed = [float(a["value"] - b["value"]) for a, b in rows]
        images = _image_differences(rows)
        interval = None
        if images is not None:
            resampled = _bootstrap(images, num_resamples, generator)
            interval = _percentiles(resampled, confidence)
        differences.append(
            Difference(
                name=f"{dataset}, {measurement_name(rows[0][0])}",
                mean=float(np.mean(per_seed)),
                per_seed=per_seed,
                image_interval=interval,
                seed_interval=_student(per_seed, confidence),
            )
        )
    overall, number = _overall(pairs, confidence, num_resamples, generator)
    return Comparison(
        first.encoders[0], second.encoders[0], differences, overall, number, confidence
    )


def _pairs(first, second):
    """`{(dataset, protocol, metric): [(row, row) for each common seed]}`."""
    others = {row_key(row): row for row in second.rows}
    pairs = {}
    for row in first.rows:
        key = row_key(row)
        if key in others:
            *measurement, _ = key
            pairs.setdefault(tuple(measurement), []).append((row, others[key]))
    if not pairs:
        raise ValueError(
            "The reports share no dataset, protocol, metric and seed, so nothing is "
            "paired."
        )
    return pairs


def _overall(pairs, confidence, num_resamples, generator):
    """The mean over measurements; images are resampled dataset by dataset.

    Only accuracies are averaged, unless there are none. A seed that lacks a measurement
    is left out, unless every seed does.
    """
    accuracies = {
        key: rows for key, rows in pairs.items() if rows[0][0]["metric"] == "accuracy"
    }
    pairs, name = (accuracies, MEAN_ACCURACY) if accuracies else (pairs, "mean")
    seeds_of = [{row["seed"] for row, _ in rows} for rows in pairs.values()]
    complete = sorted(set.intersection(*seeds_of))
    if complete:
        pairs = {
            key: [(row, other) for row, other in rows if row["seed"] in complete]
            for key, rows in pairs.items()
        }
    every = [pair for rows in pairs.values() for pair in rows]
    per_seed = [
        _mean_difference([pair for pair in every if pair[0]["seed"] == seed])
        for seed in complete
    ]
    by_dataset = {}
    for (dataset, *_), rows in pairs.items():
        by_dataset.setdefault(dataset, []).append(_image_differences(rows))
    image_interval = None
    if all(images is not None for rows in by_dataset.values() for images in rows):
        resampled = sum(
            _bootstrap(np.sum(rows, axis=0), num_resamples, generator)
            for rows in by_dataset.values()
        )
        image_interval = _percentiles(resampled / len(pairs), confidence)
    overall = Difference(
        name=name,
        mean=float(np.mean([_mean_difference(rows) for rows in pairs.values()])),
        per_seed=per_seed,
        image_interval=image_interval,
        seed_interval=_student(per_seed, confidence),
    )
    return overall, len(pairs)


def _mean_difference(rows):
    return float(np.mean([row["value"] - other["value"] for row, other in rows]))


def _image_differences(rows):
    """Per test image, the difference averaged over seeds; None where it is unknown."""
    images = [(a["per_image"], b["per_image"]) for a, b in rows]
    if any(a is None or b is None or len(a) != len(b) for a, b in images):
        return None
    if len({len(a) for a, _ in images}) > 1:
        return None
    return np.mean([a.astype("float64") - b for a, b in images], axis=0)


def _bootstrap(values, num_resamples, generator):
    """Means of `num_resamples` resamples of `values`, `(num_resamples,)`."""
    means = []
    for start in range(0, num_resamples, RESAMPLES_AT_ONCE):
        number = min(RESAMPLES_AT_ONCE, num_resamples - start)
        drawn = generator.integers(len(values), size=(number, len(values)))
        means.append(values[drawn].mean(axis=1))
    return np.concatenate(means)


def _percentiles(values, confidence):
    tail = 50 * (1 - confidence)
    return tuple(float(bound) for bound in np.percentile(values, [tail, 100 - tail]))


def _student(values, confidence):
    """Student's t interval of the mean, or None for fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return None
    quantile = stats.t.ppf(0.5 + confidence / 2, len(values) - 1)
    half = quantile * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def _interval(interval):
    if interval is None:
        return ""
    return f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"
