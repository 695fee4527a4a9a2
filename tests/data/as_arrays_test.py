import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data
from tests.test_case import TestCase


class AsArraysTest(TestCase):
    def test_images_with_and_without_labels_in_order(self):
        images = np.random.default_rng(0).integers(0, 256, (2003, 4, 3, 1), "uint8")
        labels = np.arange(2003)
        source = data.load((images, labels), labels=True)
        found = data.as_arrays(source)
        assert isinstance(found, tuple)
        for actual, expected in zip(found, (images, labels), strict=True):
            np.testing.assert_array_equal(actual, expected)
            assert actual.dtype == expected.dtype
        alone = data.as_arrays(data.load(images))
        np.testing.assert_array_equal(alone, images)

    def test_what_fits_in_no_array(self):
        images = tf.data.Dataset.from_tensors(np.zeros((2, 2, 1), "uint8"))
        with pytest.raises(ValueError, match="without end"):
            data.as_arrays(images.repeat())
        with pytest.raises(ValueError, match="empty"):
            data.as_arrays(images.take(0))
        larger = tf.data.Dataset.from_tensors(np.zeros((3, 2, 1), "uint8"))
        with pytest.raises(ValueError, match=r"different sizes.*`image_size`"):
            data.as_arrays(images.concatenate(larger))

    def test_other_errors_are_passed_on(self):
        images = tf.data.Dataset.range(3).map(
            lambda i: tf.debugging.check_numerics(
                tf.math.log(tf.cast(i, "float32")), "not finite"
            )
        )
        with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
            data.as_arrays(images)
