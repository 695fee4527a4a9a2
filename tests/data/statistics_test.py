"""Channel statistics against NumPy's over all pixels at once."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data
from tests.data.pictures import noise
from tests.test_case import TestCase


class ChannelStatisticsTest(TestCase):
    def expect(self, images, pixels):
        statistics = data.channel_statistics(images)
        self.assert_close(statistics.mean, pixels.mean(0), rtol=1e-13)
        self.assert_close(statistics.std, pixels.std(0), rtol=1e-13)
        assert statistics.mean.dtype == np.float64

    def test_uint8(self):
        images = noise((9, 5, 4, 3))
        self.expect(images, images.reshape(-1, 3) / 255)

    def test_many_channels_of_16_bits(self):
        images = noise((5, 5, 4, 12), dtype=np.uint16)
        self.expect(images, images.reshape(-1, 12) / 65535)

    def test_float_with_little_variance(self):
        images = 0.9 + 1e-6 * np.random.default_rng(0).normal(size=(50, 4, 4, 2))
        self.expect(images, images.reshape(-1, 2))

    def test_dataset_of_different_sizes_with_labels(self):
        parts = [noise((size, size + 1, 2), size) for size in (3, 5, 2)]
        dataset = tf.data.Dataset.from_generator(
            lambda: ((part, 0) for part in parts),
            output_signature=(
                tf.TensorSpec((None, None, 2), tf.uint8),
                tf.TensorSpec((), tf.int64),
            ),
        )
        pixels = np.concatenate([part.reshape(-1, 2) for part in parts]) / 255
        self.expect(dataset, pixels)

    def test_errors(self):
        images = np.zeros((3, 2, 2, 1), np.float32)
        images[2] = np.nan
        with pytest.raises(ValueError, match="image 2"):
            data.channel_statistics(images)
        with pytest.raises(ValueError, match=r"\(images, labels\) give the images"):
            data.channel_statistics((images, np.arange(3)))
        with pytest.raises(ValueError, match=r"must be uint8.* dtype int64"):
            data.channel_statistics(images[:1].astype(np.int64))
        dataset = tf.data.Dataset.from_tensor_slices(images)
        with pytest.raises(ValueError, match="image 2"):
            data.channel_statistics(dataset)
        with pytest.raises(ValueError, match="at least one image"):
            data.channel_statistics(dataset.take(0))
