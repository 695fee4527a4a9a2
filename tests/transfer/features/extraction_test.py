import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.transfer import extract_features
from tests.test_case import TestCase


def encoder(*, channels=1):
    return keras.Sequential(
        [
            keras.Input((6, 6, channels)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.5),
        ]
    )


def pictures(number=11):
    return np.random.default_rng(0).integers(256, size=(number, 6, 6, 1), dtype="uint8")


class ExtractFeaturesTest(TestCase):
    @pytest.mark.parametrize("batch_size", [1, 4, 11, 256])
    def test_keeps_order_and_the_last_batch(self, batch_size):
        model, images = encoder(), pictures()
        expected = np.concatenate([model(images[i : i + 1]) for i in range(11)])
        features = extract_features(model, images, batch_size=batch_size)
        assert features.dtype == np.float32
        self.assert_close(features, expected, rtol=1e-5)

    def test_every_kind_of_dataset(self):
        model, images = encoder(), pictures()
        expected = extract_features(model, images)
        labels = np.arange(11)
        plain = tf.data.Dataset.from_tensor_slices(images)
        pairs = tf.data.Dataset.from_tensor_slices((images, labels))
        for dataset in (plain, pairs, plain.batch(4), pairs.batch(4)):
            self.assert_close(extract_features(model, dataset), expected, rtol=1e-5)

    def test_half_precision_becomes_float32(self):
        keras.config.set_dtype_policy("mixed_float16")
        features = extract_features(encoder(), pictures())
        assert features.dtype == np.float32

    def test_errors(self):
        model, images = encoder(), pictures()
        endless = tf.data.Dataset.from_tensor_slices(images).repeat()
        with pytest.raises(ValueError, match="repeats without end"):
            extract_features(model, endless)
        with pytest.raises(ValueError, match=r"\(N, H, W, C\)"):
            extract_features(model, images[..., 0])
        with pytest.raises(ValueError, match=r"images \(H, W, C\), or batches"):
            extract_features(model, tf.data.Dataset.range(3))
        with pytest.raises(ValueError, match="There are no images"):
            extract_features(model, images[:0])
        with pytest.raises(ValueError, match="from images to features"):
            extract_features(None, images)
        with pytest.raises(ValueError, match="batch_size"):
            extract_features(model, images, batch_size=0)
        maps = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)])
        with pytest.raises(ValueError, match="add global pooling"):
            extract_features(maps, images)
