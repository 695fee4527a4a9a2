import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.layers.fused_normalization import fused_normalization
from tests.processors import needs_bfloat16_kernels
from tests.test_case import TestCase

EPSILON = 1e-3


def single_operations(x, scale, offset, *, epsilon):
    """The definition, which autodiff derives."""
    mean = tf.reduce_mean(x, (0, 1, 2))
    variance = tf.reduce_mean((x - mean) ** 2, (0, 1, 2))
    outputs = (x - mean) * scale / tf.sqrt(variance + epsilon) + offset
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance)


def every_derivative(operation, dtype, parts=(1, 1, 1), order=2):
    """Value, moments, and derivatives up to an order, with a curved loss."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(1, 2, (6, 4, 5, 3)), dtype)
    scale, offset = (tf.constant(rng.normal(size=3), dtype) for _ in range(2))
    directions = [
        part * tf.constant(rng.normal(size=v.shape), dtype)
        for part, v in zip(parts, (x, scale, offset), strict=True)
    ]
    inputs = [x, scale, offset]

    def slope(order):
        """The `order`-th derivative along the directions; its gradient is the next."""
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            if order == 0:
                outputs, mean, variance = operation(*inputs, epsilon=EPSILON)
                value = tf.reduce_sum(tf.sin(outputs) + outputs**2)
                found = [outputs, mean, variance]
            else:
                gradients, found = slope(order - 1)
                value = tf.add_n(
                    [
                        tf.reduce_sum(g * d)
                        for g, d in zip(gradients, directions, strict=True)
                    ]
                )
        gradients = tape.gradient(value, inputs, unconnected_gradients="zero")
        return gradients, [*found, *gradients]

    return tf.function(lambda: slope(order - 1)[1])()


class FusedNormalizationTest(TestCase):
    @pytest.mark.parametrize("parts", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
    def test_derivatives_equal_those_of_single_operations(self, parts):
        expected = every_derivative(single_operations, "float64", parts, order=3)
        found = every_derivative(fused_normalization, "float64", parts, order=3)
        for one, other in zip(found, expected, strict=True):
            self.assert_close(one, other, rtol=1e-9, atol=1e-9)

    def test_kernels_equal_formulas(self):
        expected = every_derivative(fused_normalization, "float64")
        found = every_derivative(fused_normalization, "float32")
        for one, other in zip(found, expected, strict=True):
            error = np.abs(one.numpy() - other).max() / np.abs(other).max()
            assert error < 5e-6

    @pytest.mark.parametrize(
        "dtype", ["float16", pytest.param("bfloat16", marks=needs_bfloat16_kernels)]
    )
    def test_half_precision_has_float32_moments(self, dtype):
        rng = np.random.default_rng(0)
        # Half of the sums of these overflow float16, and bfloat16 cannot count them.
        x = tf.cast(tf.constant(rng.normal(60, 3, (40, 9, 9, 2))), dtype)
        scale, offset = tf.constant([1.0, 2.0]), tf.constant([0.0, 1.0])
        outputs, *moments = fused_normalization(x, scale, offset, epsilon=EPSILON)
        exact, *expected = single_operations(
            tf.cast(x, "float64"),
            tf.cast(scale, "float64"),
            tf.cast(offset, "float64"),
            epsilon=EPSILON,
        )
        assert outputs.dtype == dtype
        for one, other in zip(moments, expected, strict=True):
            assert one.dtype == "float32"
            self.assert_close(one, other, rtol=1e-5)
        self.assert_close(tf.cast(outputs, "float64"), exact, atol=5e-2)

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_no_feature_map_is_cast_forward_or_backward(self, policy):
        layer = layers.BatchNormalization(dtype=policy)
        layer.build((None, 4, 4, 3))
        half = policy.removeprefix("mixed_")

        @tf.function
        def step(x, d_outputs):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = layer(x, training=True)
            return tape.gradient(outputs, [x, *layer.trainable_variables], d_outputs)

        maps = tf.TensorSpec((8, 4, 4, 3), half)
        operations = step.get_concrete_function(maps, maps).graph.get_operations()
        casts = [
            o for o in operations if o.type == "Cast" and len(o.outputs[0].shape) > 1
        ]
        assert not casts
        kernels = [o for o in operations if o.type.startswith("FusedBatchNorm")]
        assert len(kernels) == 2
        for kernel in kernels:
            assert (kernel.get_attr("T"), kernel.get_attr("U")) == (half, tf.float32)
