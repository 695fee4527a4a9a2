"""The example of domain adaptation, shrunken."""

import json

import pytest

from tests.scripts import ROOT, run
from tests.test_case import TestCase


class DomainAdaptationTest(TestCase):
    @pytest.mark.slow(reason="a compilation for each arm; `.ci/run` runs it")
    def test_table(self, examples, tmp_path):
        encoder = ROOT / "hub" / "encoders" / "simclr-convnet-fashion"
        flags = [
            f"--output_dir={tmp_path}",
            f"--encoder={encoder}",
            "--seeds=0",
            "--epochs=1",
            "--train_images=40",
            "--test_images=20",
        ]
        run(examples / "domain_adaptation.py", *flags)
        record = json.loads((tmp_path / "results.json").read_text())
        rows = {one["arm"]: one["accuracy"] for one in record["runs"]}
        assert len(rows) == 4
        for accuracy in rows.values():
            assert set(accuracy) == {"mnist", "digits", "mnist on pictures"}
            for value in accuracy.values():
                assert abs(20 * value - round(20 * value)) < 1e-6
        gap = 100 * (rows["adversarial"]["digits"] - rows["source only"]["digits"])
        table = (tmp_path / "table.md").read_text()
        assert f"| {gap:+.2f} (1 seed) |" in table and "| mean |" in table
