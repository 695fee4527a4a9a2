"""The conflict of the tasks of a stage, on a few images."""

import json

import h5py
import numpy as np
import pytest

from tests.scripts import run
from tests.test_case import TestCase


class ConflictTest(TestCase):
    @pytest.mark.slow(reason="traces six steps; the estimate has tests of its own")
    def test_before_midway_and_after(self, tmp_path):
        before = {name: {"block tasks": {}} for name in ("provenance", "conflict")}
        (tmp_path / "conflict.json").write_text(json.dumps(before))
        rng = np.random.default_rng(0)
        with h5py.File(tmp_path / "fashion_mnist.h5", "w") as file:
            file["train/image"] = rng.integers(0, 256, (64, 28, 28, 1), "uint8")
        result = run(
            "benchmarks/transfer/conflict.py",
            f"--data_dir={tmp_path}",
            f"--output={tmp_path / 'conflict.json'}",
            "--cases=cluster tasks of few images",
            "--more_steps=0.01",
            "--batch_size=16",
            "--batches=2",
            "--seeds=3,4",
        )
        results = json.loads((tmp_path / "conflict.json").read_text())
        assert list(results["provenance"]) == list(results["conflict"])
        kept, found = results["conflict"].values()
        assert not kept
        assert list(found) == ["untrained", "half trained", "trained"]
        for of_seeds in found.values():
            assert [seed["seed"] for seed in of_seeds] == [3, 4]
            for seed in of_seeds:
                # So few batches may leave the cosine undefined.
                assert len(seed["interval"]) == 2 and -1 <= seed["within"] <= 1
        within = {seed["within"] for of_seeds in found.values() for seed in of_seeds}
        assert len(within) == 6  # Each of other weights.
        assert "| cluster tasks of few images |" in result.stdout
