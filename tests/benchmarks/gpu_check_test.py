"""The check for a machine with a GPU, a few rows of it, on whatever there is."""

import json

import pytest

from tests.scripts import run
from tests.test_case import TestCase


class GpuCheckTest(TestCase):
    @pytest.mark.slow(reason="a process each for what tests/pretraining tests")
    @pytest.mark.parametrize(
        ("sections", "rows"),
        [
            (["objectives"], "nt_xent, plain, float32, no XLA"),
            (
                ["gradients", "objectives"],
                "projector, 1, cluster|nt_xent, plain, float32, no XLA",
            ),
        ],
    )
    def test_rows_reach_table_and_file(self, sections, rows, tmp_path):
        output = tmp_path / "check.json"
        result = run(
            "benchmarks/gpu_check.py",
            f"--output={output}",
            "--processes=1",
            f"--sections={','.join(sections)}",
            f"--only={rows}",
        )
        assert f"{len(sections)} passed, 0 failed, 0 not run" in result.stdout
        rows = json.loads(output.read_text())["rows"]
        assert [row["section"] for row in rows] == sections
        assert all(f"| {row['row']} |" in result.stdout for row in rows)

    def test_what_finds_no_time_is_said_to(self, tmp_path):
        result = run(
            "benchmarks/gpu_check.py",
            "--processes=1",
            "--sections=repeats",
            "--seconds=-1",
        )
        assert "| repeats | twice | not run |" in result.stdout
        assert "0 passed, 0 failed, 2 not run" in result.stdout
