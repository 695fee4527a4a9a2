import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.precision import at_least_float32, l2_normalize
from tests.test_case import TestCase


class AtLeastFloat32Test(TestCase):
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("float16", "float32"),
            ("bfloat16", "float32"),
            ("uint8", "float32"),
            ("float32", "float32"),
            ("float64", "float64"),
        ],
    )
    def test_dtypes(self, given, expected):
        assert at_least_float32(tf.ones(2, given)).dtype == expected


class L2NormalizeTest(TestCase):
    def test_values(self):
        x = np.random.default_rng(0).normal(size=(3, 4))
        expected = x / np.linalg.norm(x, axis=1, keepdims=True)
        self.assert_close(l2_normalize(x), expected, rtol=1e-12)
        self.assert_close(l2_normalize(1e-9 * x), expected, rtol=1e-9)

    def test_zero_stays_zero_with_zero_gradient(self):
        x = tf.zeros((2, 3))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = l2_normalize(x)
        assert np.all(y == 0)
        assert np.all(tape.gradient(y, x) == 0)
