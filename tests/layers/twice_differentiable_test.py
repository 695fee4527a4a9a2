import keras
import numpy as np
import pytest

from keras_tc2.layers.batch_normalization import BatchNormalization
from keras_tc2.layers.group_normalization import GroupNormalization
from keras_tc2.layers.layer_normalization import LayerNormalization
from keras_tc2.layers.twice_differentiable import (
    make_twice_differentiable,
    stock_normalizations,
)
from tests.layers.hessian import hessian_vector_error
from tests.test_case import TestCase


class Block(keras.layers.Layer):
    """A custom layer that holds a list of layers."""

    def __init__(self):
        super().__init__()
        self.parts = [keras.layers.Conv2D(4, 1), keras.layers.GroupNormalization(2)]

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


class OwnNormalization(keras.layers.BatchNormalization):
    """A user's subclass, which may do anything."""


def nested_model():
    inner_input = keras.Input((6, 6, 4))
    x = keras.layers.BatchNormalization(name="inner_norm")(inner_input)
    inner = keras.Model(inner_input, keras.layers.Activation("softplus")(x))
    images = keras.Input((6, 6, 4))
    x = Block()(inner(images))
    x = keras.layers.LayerNormalization(name="outer_norm")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


class MakeTwiceDifferentiableTest(TestCase):
    def test_replaces_at_every_depth_and_keeps_the_function(self):
        model = nested_model()
        x = np.random.default_rng(0).normal(size=(4, 6, 6, 4)).astype("float32")
        model(x, training=True)
        weights = model.get_weights()
        expected = model(x)
        assert len(stock_normalizations(model)) == 3
        assert make_twice_differentiable(model) is model
        assert stock_normalizations(model) == []
        self.assert_close(model(x), expected, atol=2e-6)
        for a, b in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
        kinds = {type(layer) for layer in model._flatten_layers()}
        assert {BatchNormalization, LayerNormalization, GroupNormalization} <= kinds

    def test_second_derivative_of_a_replaced_layer(self, float64):
        layer = make_twice_differentiable(keras.layers.BatchNormalization())
        assert hessian_vector_error(layer) < 1e-6

    def test_saves_and_loads_as_the_exact_classes(self, tmp_path):
        images = keras.Input((6, 6, 4))
        x = keras.layers.BatchNormalization()(images)
        model = make_twice_differentiable(keras.Model(images, x))
        model.save(tmp_path / "model.keras")
        reloaded = keras.saving.load_model(tmp_path / "model.keras")
        assert stock_normalizations(reloaded) == []

    def test_trains(self):
        model = make_twice_differentiable(nested_model())
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(8, 6, 6, 4))
        history = model.fit(x, np.ones((8, 4)), epochs=5, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]

    def test_kerascv_backbone_stays_one(self):
        from keras_cv.models import ResNetV2Backbone

        backbone = ResNetV2Backbone(
            stackwise_filters=[64, 8],
            stackwise_blocks=[2, 2],
            stackwise_strides=[1, 2],
            include_rescaling=False,
            input_shape=(32, 32, 3),
        )
        assert stock_normalizations(backbone)
        names = backbone.pyramid_level_inputs
        make_twice_differentiable(backbone)
        assert type(backbone) is ResNetV2Backbone
        assert backbone.pyramid_level_inputs == names
        assert stock_normalizations(backbone) == []


class StockNormalizationsTest(TestCase):
    def test_names_paths(self):
        assert "outer_norm" in stock_normalizations(nested_model())

    def test_a_subclass_is_named_but_not_replaced(self):
        model = keras.Sequential([keras.Input((3,)), OwnNormalization(name="own")])
        make_twice_differentiable(model)
        assert type(model.layers[0]) is OwnNormalization
        assert [p.split("/")[-1] for p in stock_normalizations(model)] == ["own"]

    @pytest.mark.parametrize(
        "make_layer",
        [
            lambda: BatchNormalization(renorm=True),
            lambda: keras.layers.SpectralNormalization(
                keras.layers.Conv2D(4, 3, padding="same")
            ),
        ],
        ids=["renorm", "spectral"],
    )
    def test_stopped_gradients_are_named_and_wrong(self, float64, make_layer):
        layer = make_layer()
        assert hessian_vector_error(layer) > 1e-2
        assert len(stock_normalizations(layer)) == 1

    @pytest.mark.parametrize(
        "make_layer",
        [
            keras.layers.RMSNormalization,
            keras.layers.UnitNormalization,
            lambda: keras.layers.Normalization(mean=0.5, variance=2.0),
        ],
        ids=["rms", "unit", "constants"],
    )
    def test_exact_stock_layers_are_not_named(self, float64, make_layer):
        layer = make_layer()
        assert hessian_vector_error(layer) < 1e-6
        assert stock_normalizations(layer) == []
