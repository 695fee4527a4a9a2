"""The BiSSL example, shrunken."""

import json
import os
import pathlib
import subprocess
import sys

from tests.test_case import TestCase

ROOT = pathlib.Path(__file__).parents[2]


def run(folder, *flags):
    """The example, tiny; what it did."""
    return subprocess.run(
        [
            sys.executable,
            ROOT / "examples" / "bissl.py",
            f"--output_dir={folder}",
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
            *flags,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )


class BiSSLTest(TestCase):
    def test_pipeline(self, tmp_path):
        result = run(tmp_path, "--seeds=3", "--arms=fine-tuning,BiSSL")
        assert result.returncode == 0, result.stderr[-4000:]
        assert "upper 1/1 of alternation 1/1" in result.stdout
        files = sorted(path.name for path in (tmp_path / "runs").iterdir())
        assert files == ["BiSSL-1.0-0.1-10.0-3.json", "fine-tuning-3.json"]
        kept = {name: (tmp_path / "runs" / name).read_text() for name in files}

        # More settings join the folder; what is there is not made again.
        result = run(
            tmp_path,
            "--seeds=3",
            "--arms=fine-tuning,longer fine-tuning on crops,BiSSL,BiSSL identity,"
            "BiSSL identity then crops",
            "--proximity_weight=1",
            "--damping=10",
            "--damping=100",
        )
        assert result.returncode == 0, result.stderr[-4000:]
        for name, text in kept.items():
            assert (tmp_path / "runs" / name).read_text() == text
        written = json.loads((tmp_path / "results.json").read_text())
        assert "bissl.py" in written["command"] and written["flags"]["steps"] == 2
        runs = {(r["arm"], r["settings"].get("damping")): r for r in written["runs"]}
        assert set(runs) == {
            ("fine-tuning", None),
            ("longer fine-tuning on crops", None),
            ("BiSSL", 10),
            ("BiSSL", 100),
            ("BiSSL identity", None),
            ("BiSSL identity then crops", None),
        }
        assert all(0 <= record["accuracy"] <= 1 for record in written["runs"])
        assert runs["BiSSL", 10]["logged"]["phase"] == 2
        table = (tmp_path / "table.md").read_text()
        assert "| BiSSL (λ 1, rate 0.1, δ 100) | 1 |" in table
        assert "| BiSSL identity (λ 1, rate 0.1) | 1 |" in table

        result = run(tmp_path, "--evaluate_on=validation")
        assert "holds runs with other settings" in result.stderr
