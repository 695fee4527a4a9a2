"""Processes that decode in Python end when they should."""

import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from keras_tc2 import data
from tests.scripts import ROOT
from tests.test_case import TestCase

# A process that hangs does so forever; one that ends may have a busy machine.
PATIENCE = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty WebP files, one of them broken."""
    folder = tmp_path_factory.mktemp("webp")
    rng = np.random.default_rng(0)
    for number in range(60):
        pixels = rng.integers(0, 256, (200, 200, 3), "uint8")
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.webp")
    broken = folder / "30.webp"
    broken.write_bytes(broken.read_bytes()[:300])
    return folder


def end(folder, how, checkpoints):
    return subprocess.run(
        [sys.executable, "-m", "tests.data.ending_run", folder, how, checkpoints],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


class EndingTest(TestCase):
    @pytest.mark.parametrize(
        ("how", "code", "said"),
        [
            ("broken", 1, "30.webp cannot be decoded"),
            ("SIGTERM", 143, ""),
            ("augmentation", 1, "of a callback"),
            ("SIGINT", -2, "KeyboardInterrupt"),
            # These leave by the same door as an image that is broken.
            pytest.param("exit", 3, "", marks=pytest.mark.slow),
            pytest.param("exception", 1, "of a callback", marks=pytest.mark.slow),
        ],
    )
    def test_process_ends(self, folder, tmp_path, how, code, said):
        result = end(str(folder), how, str(tmp_path / "checkpoints"))
        assert result.returncode == code, result.stderr[-2000:]
        assert said in result.stderr

    def test_an_iterator_that_is_given_up(self, folder):
        images = data.load(str(folder), image_size=16, channels=3, on_error="skip")
        for _ in range(3):
            iterator = iter(images)
            next(iterator)
            del iterator
