"""The selective attention example, shrunken."""

import json

import pytest

from tests.scripts import run
from tests.test_case import TestCase


def run_tiny(script, folder):
    """The example, tiny; what it printed."""
    return run(
        script,
        f"--output_dir={folder}",
        "--objectives=nt_xent,vicreg",
        "--steps=1",
        "--batch_size=8",
        "--shots=2",
        "--seeds=0",
        "--evaluate_on=validation",
        "--test_images=20",
        "--epochs=1",
        "--fine_tuning_epochs=1",
        "--residual_steps=1",
    ).stdout


class SelectiveAttentionTest(TestCase):
    @pytest.mark.slow(reason="a compilation for each arm; `.ci/run` runs it")
    def test_table(self, examples, tmp_path):
        script = examples / "selective_attention.py"
        assert "pre-training: vicreg" in run_tiny(script, tmp_path)
        table = (tmp_path / "table.md").read_text()
        for row in (
            "linear: nt_xent",
            "linear: vicreg",
            "all features, linear",
            "uniform mean",
            "best single, fine-tuned",
            "selective attention",
            "small encoder alone",
            "residual, helpful source",
            "residual, useless source",
        ):
            assert f"| {row} |" in table
        written = json.loads((tmp_path / "results.json").read_text())
        record = written["runs"][0]
        assert (record["labels_per_class"], record["seed"]) == (2, 0)
        assert 0 <= record["accuracy"]["selective attention"] <= 1
        assert (tmp_path / "attention.png").stat().st_size > 5_000

    @pytest.mark.slow(reason="compare_test resumes too, by the same run_folder.py")
    def test_again_trains_nothing(self, examples, tmp_path):
        script = examples / "selective_attention.py"
        run_tiny(script, tmp_path)
        table = (tmp_path / "table.md").read_text()
        # All of it is there: nothing is trained again but the attention of the picture.
        assert "pre-training" not in run_tiny(script, tmp_path)
        assert (tmp_path / "table.md").read_text() == table
