"""The conflict of each set of recipes, on a few images."""

import json

import numpy as np

from tests.scripts import run
from tests.test_case import TestCase


class ConflictTest(TestCase):
    def test_of_two_sets(self, tmp_path):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (48, 8, 8, 1)).astype("uint8")
        np.save(tmp_path / "images.npy", images)
        result = run(
            "benchmarks/transfer/conflict.py",
            f"--pretrain_on={tmp_path / 'images.npy'}",
            f"--output={tmp_path / 'conflict.json'}",
            "--steps=2",
            "--batches=2",
            "--batch_size=16",
        )
        written = json.loads((tmp_path / "conflict.json").read_text())["conflict"]
        assert set(written) == {"simclr", "contradicting"}
        for name, found in written.items():
            # So few batches may leave them undefined, or estimate a cosine above 1.
            assert isinstance(found["cosine"], float) and len(found["interval"]) == 2
            assert f"{name}: {found['said']}" in result.stdout
        assert written["simclr"] != written["contradicting"]
