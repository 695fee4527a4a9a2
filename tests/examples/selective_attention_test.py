"""The selective attention example, shrunken."""

import json

from tests.scripts import run
from tests.test_case import TestCase


class SelectiveAttentionTest(TestCase):
    def test_table(self, examples, tmp_path):
        run(
            examples / "selective_attention.py",
            f"--output_dir={tmp_path}",
            "--objectives=nt_xent,vicreg",
            "--steps=1",
            "--batch_size=8",
            "--shots=2",
            "--seeds=0",
            "--test_images=50",
            "--epochs=1",
            "--fine_tuning_epochs=1",
            "--residual_steps=1",
        )
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
        assert 0 <= written["accuracy"]["2"][0]["selective attention"] <= 1
        assert (tmp_path / "attention.png").stat().st_size > 5_000
