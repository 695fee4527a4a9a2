import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers import GradientReversal
from tests.test_case import TestCase


class GradientReversalTest(TestCase):
    def test_saving(self, tmp_path):
        inputs = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
        layer = self.run_layer_test(GradientReversal, {}, inputs, tmp_path)
        np.testing.assert_array_equal(layer(inputs, factor=0.3), inputs)

    @pytest.mark.parametrize("factor", [0.0, 0.3, 1.0])
    def test_gradient_is_that_of_central_differences_times_minus_factor(self, factor):
        rng = np.random.default_rng(0)
        kernel = keras.Variable(rng.normal(size=(3, 2)), dtype="float64")
        inputs = tf.constant(rng.normal(size=(4, 3)))
        layer = GradientReversal(dtype="float64")

        def loss(reverse):
            hidden = tf.tanh(inputs @ kernel.value)
            hidden = layer(hidden, factor=factor) if reverse else hidden
            return tf.reduce_sum(tf.sin(hidden) ** 2)

        self.assert_close(loss(True), loss(False), rtol=0, atol=0)
        with tf.GradientTape() as tape:
            value = loss(True)
        found = tape.gradient(value, kernel.value)
        if factor == 0:
            assert not np.any(found)
        else:
            unreversed = -np.asarray(found) / factor
            self.check_gradients(lambda: loss(True), [kernel], [unreversed])

    def test_what_comes_behind_learns_as_ever(self):
        kernel = tf.Variable([[1.0], [2.0]])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(GradientReversal()(tf.ones((3, 2))) @ kernel)
        self.assert_close(tape.gradient(loss, kernel), [[3.0], [3.0]])

    def test_second_derivative(self):
        # The reversed gradient, −λ 3x², has the derivative −λ 6x, as any other.
        x = tf.constant(2.0)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = GradientReversal()(x**3, factor=0.5)
            first = inner.gradient(value, x)
        self.assert_close(first, -6.0)
        self.assert_close(outer.gradient(first, x), -6.0)
