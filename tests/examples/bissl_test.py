"""The BiSSL example, shrunken."""

import json

import pytest

from tests.scripts import run
from tests.test_case import TestCase

ARMS = "--arms=fine-tuning,longer fine-tuning on crops,BiSSL"


def run_tiny(script, folder, *flags):
    """The example, tiny."""
    return run(
        script,
        f"--output_dir={folder}",
        "--seeds=3",
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
    )


# That a folder of other settings is refused is tested with `compare.py`, by the same
# code of `run_folder.py`.
class BiSSLTest(TestCase):
    @pytest.mark.slow(reason="compare_test resumes too, by the same run_folder.py")
    def test_more_arms_join_the_folder(self, examples, tmp_path):
        script = examples / "bissl.py"
        run_tiny(script, tmp_path, "--arms=fine-tuning,BiSSL")
        files = sorted(path.name for path in (tmp_path / "runs").iterdir())
        assert files == ["BiSSL-1.0-0.1-10.0-3.json", "fine-tuning-3.json"]
        kept = {name: (tmp_path / "runs" / name).read_text() for name in files}
        run_tiny(script, tmp_path, ARMS)
        for name, text in kept.items():
            assert (tmp_path / "runs" / name).read_text() == text
        written = json.loads((tmp_path / "results.json").read_text())
        assert len(written["runs"]) == 3

    @pytest.mark.slow(reason="a compilation for each arm; `.ci/run` runs it")
    def test_pipeline(self, examples, tmp_path):
        result = run_tiny(examples / "bissl.py", tmp_path, ARMS)
        assert "upper 1/1 of alternation 1/1" in result.stdout
        names = {path.name for path in (tmp_path / "runs").iterdir()}
        assert {"BiSSL-1.0-0.1-10.0-3.json", "fine-tuning-3.json"} < names
        written = json.loads((tmp_path / "results.json").read_text())
        assert "bissl.py" in written["command"] and written["flags"]["steps"] == 2
        runs = {record["arm"]: record for record in written["runs"]}
        assert set(runs) == {"fine-tuning", "longer fine-tuning on crops", "BiSSL"}
        assert all(0 <= record["accuracy"] <= 1 for record in written["runs"])
        assert runs["BiSSL"]["settings"]["damping"] == 10
        assert runs["BiSSL"]["logged"]["phase"] == 2
        table = (tmp_path / "table.md").read_text()
        assert "| BiSSL (λ 1, rate 0.1, δ 10) | 1 |" in table
