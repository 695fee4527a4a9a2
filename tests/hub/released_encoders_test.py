"""The encoders in `hub/encoders` load after cloning, and start downstream work."""

import pathlib

import numpy as np
import pytest

import keras_tc2 as tc2
from tests.test_case import TestCase

ENCODERS = pathlib.Path(__file__).parents[2] / "hub" / "encoders"
DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"


def digits(split, count):
    """`(images, labels)` of the embedded digits."""
    data = tc2.data.load("digits_28px", split, labels=True, data_dir=DATA)
    pairs = list(data.take(count).as_numpy_iterator())
    return tuple(np.stack(part) for part in zip(*pairs, strict=True))


class ReleasedEncodersTest(TestCase):
    @pytest.mark.parametrize("name", ["tc2-convnet-fashion", "simclr-convnet-fashion"])
    def test_loads_and_transfers(self, name):
        train, test = digits("train", 500), digits("test", 300)
        folder = ENCODERS / name
        probe = tc2.transfer.linear_probe(*train, *test, encoder=folder)
        assert probe["accuracy"] > 0.9
        features = tc2.transfer.extract_features(folder, test[0])
        loaded = tc2.from_pretrained(folder)
        # Batches of 256 and of 32 run on other kernels, which sum in another order.
        self.assert_close(features, loaded.predict(test[0], verbose=0), rtol=1e-5)

    def test_of_color_pictures(self):
        train, test = (
            tc2.data.as_arrays(
                tc2.data.load("emoji_subset", split, labels=True, data_dir=DATA)
            )
            for split in ("train", "test")
        )
        folder = ENCODERS / "tc2-convnet-clip-art"
        probe = tc2.transfer.linear_probe(*train, *test, encoder=folder)
        assert probe["accuracy"] > 0.4  # Chance is 0.11.

    def test_fine_tunes(self):
        folder = ENCODERS / "tc2-convnet-fashion"
        train, test = digits("train", 200), digits("test", 100)
        tuned = tc2.transfer.fine_tune(folder, train, test, epochs=2)
        assert tuned["accuracy"] > 0.5
