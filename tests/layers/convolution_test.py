import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers.convolution import Conv2D
from keras_tc2.layers.twice_differentiable import make_twice_differentiable
from tests.layers.hessian import hessian_vector_error
from tests.processors import needs_bfloat16_kernels
from tests.test_case import TestCase

ARGUMENTS = dict(
    filters=4,
    kernel_size=(3, 2),
    strides=(2, 2),
    padding="same",
    data_format="channels_last",
    dilation_rate=(1, 1),
    groups=2,
    activation="relu",
    use_bias=True,
    kernel_initializer="zeros",
    bias_initializer="ones",
    kernel_regularizer="l2",
    bias_regularizer="l1",
    activity_regularizer="l2",
    kernel_constraint="max_norm",
    bias_constraint="non_neg",
)


class Conv2DTest(TestCase):
    def test_config(self):
        # The constructor is the stock layer's, so every argument of it must survive.
        parameters = inspect.signature(keras.layers.Conv2D).parameters
        assert set(ARGUMENTS) == set(parameters) - {"kwargs"}
        layer = Conv2D(**ARGUMENTS)
        config = layer.get_config()
        stock = keras.layers.Conv2D(**ARGUMENTS, name=layer.name)
        assert config == stock.get_config()
        assert Conv2D.from_config(config).get_config() == config

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"use_bias": False},
            {"strides": 2, "activation": "softplus", "groups": 2},
            pytest.param({"dtype": "mixed_bfloat16"}, marks=needs_bfloat16_kernels),
        ],
    )
    def test_equals_stock(self, arguments):
        stock = keras.layers.Conv2D(4, 3, bias_initializer="normal", **arguments)
        ours = Conv2D(4, 3, **arguments)
        for layer in (stock, ours):
            layer.build((None, 6, 6, 2))
        ours.set_weights(stock.get_weights())
        x = tf.constant(np.random.default_rng(0).random((2, 6, 6, 2)), "float32")
        outputs = ours(x)
        assert outputs.dtype == stock(x).dtype
        tolerance = 1e-6 if not arguments.get("dtype") else 1e-2
        self.assert_close(outputs, stock(x), atol=tolerance)

    def test_second_derivative(self, float64):
        layer = Conv2D(4, 3, padding="same", activation="softplus")
        assert hessian_vector_error(layer) < 1e-6

    @pytest.mark.parametrize(("replaced", "merged"), [(False, 1), (True, 0)])
    def test_no_bias_gradient_that_onednn_merges(self, replaced, merged):
        layer = keras.layers.Conv2D(4, 3)
        layer.build((None, 6, 6, 2))
        if replaced:
            make_twice_differentiable(layer)

        @tf.function(autograph=False)
        def gradients(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x) ** 2)
            return tape.gradient(loss, layer.trainable_variables)

        graph = gradients.get_concrete_function(tf.ones((2, 6, 6, 2))).graph
        kinds = [operation.type for operation in graph.get_operations()]
        assert kinds.count("BiasAddGrad") == merged
