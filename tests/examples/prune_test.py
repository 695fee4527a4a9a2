"""The example of pruning, shrunken."""

import json

import pytest

from tests.scripts import run
from tests.test_case import TestCase


def prune(examples, folder, *flags, fails=False):
    """Runs the example, tiny."""
    return run(
        examples / "prune.py",
        f"--output_dir={folder}",
        "--targets=digits_28px",
        "--steps=1",
        "--batch_size=8",
        "--shares=20",
        *flags,
        fails=fails,
    )


class PruneTest(TestCase):
    @pytest.mark.slow(reason="compare_test resumes too, by the same run_folder.py")
    def test_a_seed_more(self, examples, tmp_path):
        prune(examples, tmp_path, "--seeds=0")
        made = (tmp_path / "runs" / "all-100-0.json").stat().st_mtime_ns
        result = prune(examples, tmp_path, "--seeds=0,1")
        assert (tmp_path / "runs" / "all-100-0.json").stat().st_mtime_ns == made
        assert result.stdout.count("pre-training") == 3

    @pytest.mark.slow(reason="compare_test refuses too, by the same run_folder.py")
    def test_refuses_two_targets_of_one_name(self, examples, tmp_path):
        targets = "--targets=a/digits_28px,digits_28px"
        result = prune(examples, tmp_path, targets, fails=True)
        assert "are both 'digits_28px' in the results" in result.stderr

    @pytest.mark.slow(reason="a compilation for each arm; `.ci/run` runs it")
    def test_table_and_picture(self, examples, tmp_path):
        result = prune(examples, tmp_path, "--seeds=0,1")
        assert result.stdout.count("pre-training") == 6
        record = json.loads((tmp_path / "results.json").read_text())
        found = {(run["arm"], run["seed"]): run for run in record["runs"]}
        arms = ("all", "random", "digits_28px")
        assert set(found) == {(arm, seed) for arm in arms for seed in (0, 1)}
        for (arm, _), one in found.items():
            assert sum(one["kept_of_each_class"]) == (200 if arm == "all" else 40)

        def score(arm, seed):
            return 50 * sum(found[arm, seed]["accuracy"]["digits_28px"].values())

        gaps = [score("digits_28px", seed) - score("random", seed) for seed in (0, 1)]
        lines = (tmp_path / "table.md").read_text().splitlines()
        cell = lines[3].split("|")[5].strip().strip("*")
        assert lines[3].startswith("| digits_28px | 20 |")
        assert abs(float(cell.split(" ± ")[0]) - sum(gaps) / 2) < 0.006
        assert (tmp_path / "digits_28px-20.png").stat().st_size > 5_000
