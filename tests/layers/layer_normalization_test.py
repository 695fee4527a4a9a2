import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers.layer_normalization import LayerNormalization
from tests.layers.hessian import hessian_vector_error
from tests.test_case import TestCase

ARGUMENTS = dict(
    axis=[1, 2],
    epsilon=1e-2,
    center=False,
    scale=False,
    beta_initializer="ones",
    gamma_initializer="zeros",
    beta_regularizer="l2",
    gamma_regularizer="l1",
    beta_constraint="max_norm",
    gamma_constraint="non_neg",
)


class LayerNormalizationTest(TestCase):
    def test_config(self):
        # The constructor is the stock layer's, so every argument of it must survive.
        parameters = inspect.signature(keras.layers.LayerNormalization).parameters
        assert set(ARGUMENTS) == set(parameters) - {"kwargs"}
        layer = LayerNormalization(**ARGUMENTS)
        config = layer.get_config()
        stock = keras.layers.LayerNormalization(**ARGUMENTS, name=layer.name)
        assert config == stock.get_config()
        assert LayerNormalization.from_config(config).get_config() == config

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"axis": 1},
            {"axis": [3, 1], "epsilon": 0.1},
            {"axis": [-2, -1]},
            {"center": False},
            {"scale": False},
            {"dtype": "mixed_float16"},
        ],
    )
    def test_equals_stock(self, arguments):
        shape = (4, 5, 6, 3)
        stock = keras.layers.LayerNormalization(**arguments)
        exact = LayerNormalization(**arguments)
        stock.build(shape)
        exact.build(shape)
        rng = np.random.default_rng(3)
        stock.set_weights([rng.uniform(0.5, 2, w.shape) for w in stock.get_weights()])
        exact.set_weights(stock.get_weights())
        x = tf.constant(rng.normal(2.0, 3.0, shape), exact.compute_dtype)
        outputs = exact(x)
        assert outputs.dtype == exact.compute_dtype
        tolerance = 1e-2 if exact.compute_dtype == "float16" else 2e-6
        self.assert_close(outputs, stock(x), atol=tolerance)
        assert [v.name for v in exact.variables] == [v.name for v in stock.variables]

    @pytest.mark.parametrize("axis", [-1, [1, 3]])
    def test_second_derivative(self, float64, axis):
        assert hessian_vector_error(LayerNormalization(axis=axis)) < 1e-6

    def test_second_derivative_of_the_stock_layer_is_wrong(self, float64):
        assert hessian_vector_error(keras.layers.LayerNormalization()) > 1e-2

    @pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
    def test_rms_scaling_is_the_stock_one(self):
        x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
        stock = keras.layers.LayerNormalization(rms_scaling=True)
        self.assert_close(LayerNormalization(rms_scaling=True)(x), stock(x))

    def test_saves_and_loads(self, tmp_path):
        x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
        model = keras.Sequential([keras.Input((3,)), LayerNormalization()])
        model.save(tmp_path / "model.keras")
        reloaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(reloaded.layers[0]) is LayerNormalization
        self.assert_close(reloaded(x), model(x), atol=0, rtol=0)
