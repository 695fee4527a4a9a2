import numpy as np
import tensorflow as tf

from keras_tc2.bilevel.hessian import gradient_difference, hessian_of
from tests.test_case import TestCase

X, Y = np.array([0.3, -0.2]), np.array([1.0, 2.0])
V = [np.array([0.5, 1.0]), np.array([-1.0, 3.0])]


def loss(weights):
    x, y = weights
    return tf.reduce_sum(tf.sin(x) * tf.reduce_sum(y**2) + tf.exp(x))


def gradients(x, y):
    """Those of `loss`, written out."""
    return [np.cos(x) * np.sum(y**2) + np.exp(x), 2 * y * np.sum(np.sin(x))]


def tensors(arrays):
    return [tf.constant(array, "float64") for array in arrays]


class HessianTest(TestCase):
    def test_products_against_the_whole_hessian(self):
        step = 1e-6
        above, below = (
            gradients(X + sign * step * V[0], Y + sign * step * V[1])
            for sign in (1, -1)
        )
        product = hessian_of(loss, tensors([X, Y]))
        for _ in range(2):
            for actual, high, low in zip(
                product(tensors(V)), above, below, strict=True
            ):
                self.assert_close(actual, (high - low) / (2 * step), rtol=1e-7)

    def test_differences_of_gradients_are_those_along_the_unit_vector(self):
        """Exactly those of its length, and of second order in it."""
        exact = np.concatenate(hessian_of(loss, tensors([X, Y]))(tensors(V)))
        size = np.linalg.norm(np.concatenate(V))
        errors = []
        for length in (0.02, 0.01):
            step = length / size
            above, below = (
                gradients(X + sign * step * V[0], Y + sign * step * V[1])
                for sign in (1, -1)
            )
            expected = [(a - b) / (2 * step) for a, b in zip(above, below, strict=True)]
            found = gradient_difference(
                loss, tensors([X, Y]), tensors(V), length=length
            )
            for actual, wanted in zip(found, expected, strict=True):
                self.assert_close(actual, wanted, rtol=1e-10)
            errors.append(np.max(np.abs(np.concatenate(found) - exact)))
        assert 3.9 < errors[0] / errors[1] < 4.1
