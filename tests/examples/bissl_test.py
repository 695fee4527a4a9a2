"""The BiSSL example, shrunken."""

import json
import os
import pathlib
import subprocess
import sys

from tests.test_case import TestCase

ROOT = pathlib.Path(__file__).parents[2]


class BiSSLTest(TestCase):
    def test_pipeline(self, tmp_path):
        result = subprocess.run(
            [
                sys.executable,
                ROOT / "examples" / "bissl.py",
                f"--output_dir={tmp_path}",
                "--seeds=3",
                "--arms=fine-tuning,BiSSL",
                "--steps=2",
                "--batch_size=8",
                "--labels_per_class=2",
                "--test_images=50",
                "--warmup_steps=1",
                "--num_alternations=1",
                "--lower_steps=1",
                "--upper_steps=1",
                "--upper_batch_size=8",
                "--fine_tuning_epochs=1",
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, result.stderr[-4000:]
        assert "upper 1/1 of alternation 1/1" in result.stdout
        written = json.loads((tmp_path / "results.json").read_text())
        run = written["runs"]["3"]
        assert set(run) == {"fine-tuning", "BiSSL"}
        assert 0 <= run["BiSSL"]["accuracy"] <= 1
        assert run["BiSSL"]["logged"]["phase"] == 2
        assert "bissl.py" in written["command"] and written["flags"]["steps"] == 2
        assert "| BiSSL |" in (tmp_path / "table.md").read_text()
