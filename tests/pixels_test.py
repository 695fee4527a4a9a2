"""The same pictures in every type, through everything that reads raw images."""

import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2 import pixels
from tests.test_case import TestCase

SHAPE = (8, 8, 1)
BYTES = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), "uint8")
LABELS = np.arange(12) % 2
SAME = {
    "uint8": BYTES,
    "uint16": BYTES.astype("uint16") * 257,
    "float32": BYTES / np.float32(255),
    "float64": BYTES / 255.0,
}


@pytest.fixture(scope="module")
def encoder():
    return tc2.encoders.create("convnet", input_shape=SHAPE, widths=(4,))


def loaded(images, **arguments):
    return tc2.data.as_arrays(tc2.data.load(images, **arguments))


class SameFeaturesTest(TestCase):
    @pytest.mark.parametrize("dtype", list(SAME))
    def test_whatever_reads_them(self, encoder, dtype):
        images = SAME[dtype]
        expected = encoder.predict(BYTES, verbose=0)
        found = {
            "predict": encoder.predict(images, verbose=0),
            "call": encoder(images),
            "extract_features": tc2.transfer.extract_features(encoder, images),
            "load": encoder.predict(loaded(images), verbose=0),
            "load as floats": encoder(loaded(images, dtype="float32")),
        }
        for name, features in found.items():
            self.assert_close(features, expected, rtol=1e-4, atol=1e-5), name

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_evaluate_and_probe(self, encoder, dtype):
        def measured(images):
            pairs = (images[:8], LABELS[:8]), (images[8:], LABELS[8:])
            report = tc2.transfer.evaluate(encoder, {"a": pairs}, protocols="knn")
            probe = tc2.callbacks.OnlineProbe(*pairs[0], *pairs[1])
            probe.set_model(encoder)
            probe.on_train_begin()
            return report.value("a", "knn"), probe.measure()

        assert measured(SAME[dtype]) == measured(BYTES)

    def test_a_probe_says_what_is_wrong_before_training(self, encoder):
        images = BYTES.astype("float32")
        probe = tc2.callbacks.OnlineProbe(images, LABELS, images, LABELS)
        probe.set_model(encoder)
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            probe.on_train_begin()

    def test_folders_of_before_give_what_they_gave(self):
        # Their configs state the range that was the default: uint8 alone told 0 to 255.
        encoder = tc2.from_pretrained("tests/encoders/format_1")
        assert encoder.value_range is None
        images = tc2.data.load("mnist_subset", split="test", data_dir="examples/data")
        images = tc2.data.as_arrays(images.take(16))
        features = encoder.predict(images, verbose=0)
        halves = encoder.predict(images / 255.0, verbose=0)
        self.assert_close(halves, features, rtol=1e-3, atol=1e-5)
        assert np.std(features, axis=0).mean() > 0.02


class RangeTest(TestCase):
    def test_by_dtype(self):
        assert pixels.default_range("uint8") == (0, 255)
        assert pixels.default_range(np.uint16) == (0, 65535)
        for dtype in ("float16", "float32", "float64", "bfloat16"):
            assert pixels.default_range(dtype) == (0, 1)
        for dtype in ("int64", "int8", "uint32", "bool"):
            with pytest.raises(ValueError, match=f"dtype {dtype}"):
                pixels.default_range(dtype)

    def test_a_little_beyond_is_rounding(self):
        pixels.check_values(np.array([-0.005, 1.005]))
        with pytest.raises(ValueError, match=r"-0.02 to 1"):
            pixels.check_values(np.array([-0.02, 1.0]))
