import keras
import numpy as np
import tensorflow as tf

from keras_tc2.bilevel import value_and_gradients
from tests.test_case import TestCase


class ValueAndGradientsTest(TestCase):
    def test_values_extras_and_unconnected(self):
        x, y = tf.constant([1.0, 2.0]), keras.Variable([3.0])
        (value, extra), gradients = value_and_gradients(
            lambda v: (tf.reduce_sum(v[0] ** 3), "extra"), [x, y]
        )
        assert float(value) == 9.0
        assert extra == "extra"
        np.testing.assert_allclose(gradients[0], [3.0, 12.0])
        np.testing.assert_allclose(gradients[1], [0.0])

    def test_nests(self):
        def slope(x):
            return value_and_gradients(lambda v: v[0] ** 4, [x])[1][0]

        _, gradients = value_and_gradients(lambda v: slope(v[0]), [tf.constant(2.0)])
        assert float(gradients[0]) == 12 * 2.0**2
