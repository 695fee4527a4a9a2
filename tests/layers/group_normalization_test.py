import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers.group_normalization import GroupNormalization
from tests.layers.hessian import hessian_vector_error
from tests.test_case import TestCase

ARGUMENTS = dict(
    groups=2,
    axis=1,
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


class GroupNormalizationTest(TestCase):
    def test_config(self):
        # The constructor is the stock layer's, so every argument of it must survive.
        parameters = inspect.signature(keras.layers.GroupNormalization).parameters
        assert set(ARGUMENTS) == set(parameters) - {"kwargs"}
        layer = GroupNormalization(**ARGUMENTS)
        config = layer.get_config()
        stock = keras.layers.GroupNormalization(**ARGUMENTS, name=layer.name)
        assert config == stock.get_config()
        assert GroupNormalization.from_config(config).get_config() == config

    @pytest.mark.parametrize(
        ("shape", "arguments"),
        [
            ((4, 5, 6, 4), {"groups": 2}),
            ((4, 5, 6, 4), {"groups": -1, "epsilon": 0.1}),
            ((4, 6, 5, 4), {"groups": 3, "axis": 1}),
            ((4, 6, 4, 5), {"groups": 2, "axis": -2}),
            ((4, 8), {"groups": 4, "center": False}),
            ((4, 8), {"groups": 1, "scale": False}),
            ((4, 5, 5, 4), {"groups": 2, "dtype": "mixed_float16"}),
        ],
    )
    def test_equals_stock(self, shape, arguments):
        stock = keras.layers.GroupNormalization(**arguments)
        exact = GroupNormalization(**arguments)
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

    def test_unknown_spatial_size(self):
        images = keras.Input((None, None, 4))
        model = keras.Model(images, GroupNormalization(groups=2)(images))
        x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
        expected = keras.layers.GroupNormalization(groups=2)(x)
        self.assert_close(model(x), expected, atol=2e-6)
        assert model.output_shape == (None, None, None, 4)

    @pytest.mark.parametrize("arguments", [{"groups": 2}, {"groups": 3, "axis": 1}])
    def test_second_derivative(self, float64, arguments):
        assert hessian_vector_error(GroupNormalization(**arguments)) < 1e-6

    def test_second_derivative_of_the_stock_layer_is_wrong(self, float64):
        assert hessian_vector_error(keras.layers.GroupNormalization(2)) > 1e-3

    def test_saves_and_loads(self, tmp_path):
        x = np.random.default_rng(0).normal(size=(4, 3, 4)).astype("float32")
        model = keras.Sequential([keras.Input((3, 4)), GroupNormalization(groups=2)])
        model.save(tmp_path / "model.keras")
        reloaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(reloaded.layers[0]) is GroupNormalization
        self.assert_close(reloaded(x), model(x), atol=0, rtol=0)
