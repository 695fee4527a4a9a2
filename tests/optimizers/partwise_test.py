import keras
import numpy as np
import pytest

from keras_tc2.optimizers import Partwise
from tests.test_case import TestCase


def variables():
    return [keras.Variable([1.0, 2.0], name="a"), keras.Variable([3.0], name="b")]


def divided(parts):
    optimizer = Partwise([keras.optimizers.SGD(0.5), keras.optimizers.Adam(0.1)])
    optimizer.divide([[part] for part in parts])
    return optimizer


def gradients():
    return [keras.ops.array([1.0, -1.0]), keras.ops.array([4.0])]


class PartwiseTest(TestCase):
    def test_each_part_is_updated_by_its_optimizer(self):
        parts, alone = variables(), variables()
        optimizer = divided(parts)
        sgd, adam = keras.optimizers.SGD(0.5), keras.optimizers.Adam(0.1)
        for _ in range(3):
            # In any order.
            optimizer.apply(gradients()[::-1], parts[::-1])
            sgd.apply(gradients()[:1], alone[:1])
            adam.apply(gradients()[1:], alone[1:])
        for one, other in zip(parts, alone, strict=True):
            np.testing.assert_array_equal(one, other)
        assert int(optimizer.iterations) == 3 and float(optimizer.learning_rate) == 0.5
        optimizer.learning_rate = 0.25
        assert float(optimizer.optimizers[0].learning_rate) == 0.25

    def test_a_part_may_be_left_out(self):
        parts = variables()
        optimizer = divided(parts)
        optimizer.apply(gradients()[:1], parts[:1])
        np.testing.assert_array_equal(parts[1], [3.0])

    def test_a_loss_scale_around_it(self):
        parts, expected = variables(), variables()
        scaled = keras.optimizers.LossScaleOptimizer(divided(parts), initial_scale=8.0)
        scaled.build(parts)
        scaled.apply([8.0 * gradient for gradient in gradients()], parts)
        divided(expected).apply(gradients(), expected)
        for one, other in zip(parts, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        scaled.apply([np.float32(np.inf) * g for g in gradients()], parts)
        np.testing.assert_array_equal(parts[0], expected[0])
        assert float(scaled.dynamic_scale) == 4.0

    def test_config(self):
        optimizer = Partwise([keras.optimizers.SGD(0.5, momentum=0.3), "adam"][:1])
        again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        assert again.optimizers[0].momentum == 0.3

    def test_errors(self):
        optimizer = Partwise([keras.optimizers.SGD(0.5)])
        with pytest.raises(ValueError, match="`divide`"):
            optimizer.build(variables())
        with pytest.raises(ValueError, match="one for each optimizer"):
            optimizer.divide([[], []])
        with pytest.raises(ValueError, match="belongs to no part"):
            divided(variables()).apply(gradients(), variables())
