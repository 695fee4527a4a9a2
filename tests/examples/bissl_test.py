"""The BiSSL example, shrunken."""

import json

from tests.scripts import run
from tests.test_case import TestCase


class BiSSLTest(TestCase):
    def test_pipeline(self, examples, tmp_path):
        result = run(
            examples / "bissl.py",
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
        )
        assert "upper 1/1 of alternation 1/1" in result.stdout
        written = json.loads((tmp_path / "results.json").read_text())
        arms = written["runs"]["3"]
        assert set(arms) == {"fine-tuning", "BiSSL"}
        assert 0 <= arms["BiSSL"]["accuracy"] <= 1
        assert arms["BiSSL"]["logged"]["phase"] == 2
        assert "bissl.py" in written["command"] and written["flags"]["steps"] == 2
        assert "| BiSSL |" in (tmp_path / "table.md").read_text()
