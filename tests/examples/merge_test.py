"""The example of merging, shrunken."""

import json

import pytest

from tests.scripts import run
from tests.test_case import TestCase


class MergeTest(TestCase):
    @pytest.mark.slow(reason="a compilation for each arm; `.ci/run` runs it")
    def test_table(self, examples, tmp_path):
        flags = [
            f"--output_dir={tmp_path}",
            "--datasets=mnist_subset,digits_28px",
            "--steps=1",
            "--batch_size=8",
            "--shots=3",
            "--seeds=0",
            "--evaluate_on=validation",
            "--test_images=20",
            "--fine_tuning_epochs=1",
            "--atlas_steps=2",
            "--fisher_images=3",
        ]
        assert "pre-training" in run(examples / "merge.py", *flags).stdout
        table = (tmp_path / "table.md").read_text()
        assert "| mean, 3 | mnist_subset, 3 | digits_28px, 3 |" in table
        for row in (
            "pre-trained",
            "fine-tuned on mnist_subset",
            "fine-tuned on digits_28px",
            "joint training",
            "average, statistics too",
            "average",
            "Fisher",
            "task arithmetic",
            "aTLAS",
        ):
            assert f"| {row} |" in table
        written = json.loads((tmp_path / "results.json").read_text())
        (record,) = written["runs"]
        assert (record["labels_per_class"], record["seed"]) == (3, 0)
        rows = record["accuracy"]
        means = {name: sum(row.values()) / 2 for name, row in rows.items()}
        gap = written["minus"]["aTLAS"]["average"]["mean, 3"]
        assert abs(gap["mean"] - 100 * (means["aTLAS"] - means["average"])) < 0.01
