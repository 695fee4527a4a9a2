import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_tc2 as tc2
from keras_tc2 import encoders
from keras_tc2.encoders import Encoder
from tests.test_case import TestCase


def images(*shape, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def small_encoder(**arguments):
    arguments = {"input_shape": (8, 8, 1), "widths": [4], **arguments}
    return encoders.create("convnet", **arguments)


def small_model(*, rank=2):
    pooled = [keras.layers.GlobalAveragePooling2D()] if rank == 2 else []
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), *pooled], name="small"
    )


class PreprocessTest(TestCase):
    def test_bytes_floats_and_sixteen_bits_of_the_same_image_agree(self):
        x = images(2, 8, 8, 1)
        encoder = small_encoder()
        views = encoder.preprocess(x)
        assert views.dtype == "float32"
        self.assert_close(views, x / 255.0)
        self.assert_close(encoder.preprocess(x / np.float32(255)), views)
        self.assert_close(encoder.preprocess(x.astype("uint16") * 257), views)

    def test_other_integers_have_no_range(self):
        x = images(2, 8, 8, 1).astype("int64")
        with pytest.raises(ValueError, match=r"value_range=\(low, high\).*dtype int64"):
            small_encoder()(x)
        stated = small_encoder(value_range=(0, 255))
        self.assert_close(stated.preprocess(x), x / 255.0)

    @pytest.mark.parametrize("call", ["call", "predict", "dataset", "features"])
    def test_floats_of_another_range_are_refused(self, call):
        x, encoder = images(6, 8, 8, 1).astype("float32"), small_encoder()
        batches = tf.data.Dataset.from_tensor_slices((x, np.arange(6))).batch(2)
        give = {
            "call": lambda: encoder(x),
            "predict": lambda: encoder.predict(x, verbose=0),
            "dataset": lambda: encoder.predict(batches, verbose=0),
            "features": lambda: tc2.transfer.extract_features(encoder, x),
        }[call]
        with pytest.raises(ValueError, match=r"in \[0, 1\]. Received: values from"):
            give()
        nan = np.where(x > 250, np.nan, x / 255)
        with pytest.raises(ValueError, match="Received: values from nan"):
            encoder.predict(nan, verbose=0)

    def test_a_dataset_of_floats_gives_what_bytes_give(self):
        x, encoder = images(6, 8, 8, 1), small_encoder()
        floats = tf.data.Dataset.from_tensor_slices(x / np.float32(255)).batch(4)
        self.assert_close(
            encoder.predict(floats, verbose=0), encoder.predict(x, verbose=0)
        )

    def test_divided_twice_is_said(self):
        x = images(2, 8, 8, 1) / np.float32(255) / 255
        with pytest.warns(UserWarning, match="practically black"):
            small_encoder().predict(x, verbose=0)

    def test_a_stated_range_is_checked_too(self):
        encoder = small_encoder(value_range=(0, 255))
        x = images(2, 8, 8, 1).astype("float32")
        self.assert_close(encoder(x), encoder(images(2, 8, 8, 1)))
        with pytest.raises(ValueError, match=r"in \[0, 255\]"):
            encoder(x * 255)
        with pytest.warns(UserWarning, match="practically black"):
            encoder(x / 255)

    def test_views_are_floats(self):
        with pytest.raises(ValueError, match=r"dtype .*uint8.*encoder\(images\)"):
            small_encoder().encode(tf.constant(images(2, 8, 8, 1)))

    def test_stated_range(self):
        x = np.array([-1.0, 0.0, 1.0, 3.0]).reshape((1, 2, 2, 1))
        encoder = small_encoder(input_shape=(2, 2, 1), value_range=(-1, 3))
        self.assert_close(encoder.preprocess(x).numpy().ravel(), [0, 0.25, 0.5, 1])

    def test_bytes_are_bytes_whatever_the_stated_range(self):
        encoder = small_encoder(value_range=(0, 1))
        x = images(2, 8, 8, 1)
        self.assert_close(encoder.preprocess(x), x / 255.0)
        self.assert_close(encoder.preprocess(x / 255.0), x / 255.0)

    def test_sixteen_bits_under_half_precision(self):
        keras.config.set_dtype_policy("mixed_float16")
        encoder = small_encoder(value_range=(0, 65535))
        x = np.full((1, 8, 8, 1), 65535, "uint16")
        assert float(np.max(encoder.preprocess(x))) == 1.0

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_floats_under_half_precision(self, policy):
        keras.config.set_dtype_policy(policy)
        encoder = small_encoder(value_range=(65000, 66000))
        x = np.linspace(65000, 66000, 64, dtype="float32").reshape((1, 8, 8, 1))
        expected = encoder.encode(encoder.preprocess(x))
        assert np.all(np.isfinite(expected))
        np.testing.assert_array_equal(encoder(x), expected)
        model = encoders.Classifier(encoder, 2)
        np.testing.assert_array_equal(model(x), model.head(expected))


class EncoderTest(TestCase):
    def test_call_is_encode_of_preprocess(self):
        encoder, x = small_encoder(), images(3, 8, 8, 1)
        expected = encoder.encode(encoder.preprocess(x))
        self.assert_close(encoder(x), expected, atol=0)
        self.assert_close(encoder.network(x / np.float32(255)), expected)
        self.assert_close(encoder.predict(x, verbose=0), expected)
        self.assert_close(encoder.predict(x, batch_size=2, verbose=0), expected)

    def test_training_updates_moving_statistics(self):
        encoder, x = small_encoder(), images(3, 8, 8, 1)
        before = [v.numpy() for v in encoder.non_trainable_variables]
        encoder(x)
        for v, value in zip(encoder.non_trainable_variables, before, strict=True):
            np.testing.assert_array_equal(v, value)
        encoder(x, training=True)
        for v, value in zip(encoder.non_trainable_variables, before, strict=True):
            assert np.abs(np.asarray(v) - value).max() > 0

    def test_network_runs_stateless(self):
        encoder = small_encoder()
        views = tf.constant(images(3, 8, 8, 1) / np.float32(255))
        values = [2.0 * v for v in encoder.network.trainable_variables]
        state = [v.value for v in encoder.network.non_trainable_variables]
        outputs, _ = encoder.network.stateless_call(values, state, views)
        for variable, value in zip(
            encoder.network.trainable_variables, values, strict=True
        ):
            variable.assign(value)
        self.assert_close(outputs, encoder.encode(views))

    def test_trains_as_part_of_a_functional_model(self):
        inputs = keras.Input((8, 8, 1), dtype="uint8")
        outputs = keras.layers.Dense(2)(small_encoder()(inputs))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "mse")
        history = model.fit(images(8, 8, 8, 1), np.ones((8, 2)), epochs=8, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]

    def test_attributes(self):
        encoder = small_encoder(input_shape=(8, 6, 2))
        assert encoder.image_shape == (8, 6, 2)
        assert encoder.feature_dim == 4
        assert encoder.backbone.output_shape == (None, 4, 3, 4)
        assert encoder.compute_output_shape((5, 8, 6, 2)) == (5, 4)
        assert encoder.count_params() == encoder.network.count_params() > 0

    def test_summary_shows_the_network(self):
        lines = []
        encoder = small_encoder()
        encoder.summary(print_fn=lambda text, **_: lines.append(text))
        text = "\n".join(lines)
        assert "pooling" in text
        assert str(encoder.count_params()) in text
        lines.clear()
        encoder.summary(expand_nested=True, print_fn=lambda t, **_: lines.append(t))
        assert "stage1_conv" in "\n".join(lines)

    @pytest.mark.parametrize(
        ("shape", "given"),
        [
            ((2, 8, 8, 3), "Received the shape (2, 8, 8, 3)"),
            ((2, 9, 8, 1), "Received the shape (2, 9, 8, 1)"),
            ((8, 8, 1), "image[None]"),
            ((2, 64), "Received the shape (2, 64)"),
        ],
    )
    def test_images_that_do_not_fit(self, shape, given):
        encoder = small_encoder()
        expected = "(batch, height=8, width=8, channels=1)"
        for call in (encoder, encoder.encode, encoder.preprocess):
            with pytest.raises(ValueError) as error:
                call(np.zeros(shape, "float32"))
            assert given in str(error.value)
            assert expected in str(error.value)
        with pytest.raises(ValueError, match="channels=1"):
            encoder.predict(np.zeros(shape, "float32"), verbose=0)

    def test_saves_and_loads_as_keras_file(self, tmp_path):
        encoder = small_encoder(
            channel_mean=0.4, channel_std=0.2, value_range=(0, 1), widths=[3, 5]
        )
        x = images(3, 8, 8, 1)
        encoder(x, training=True)
        encoder.save(tmp_path / "encoder.keras")
        reloaded = keras.saving.load_model(tmp_path / "encoder.keras")
        assert type(reloaded) is Encoder
        assert reloaded.get_config() == encoder.get_config()
        self.assert_close(reloaded(x), encoder(x), atol=0, rtol=0)

    def test_config_is_json_and_keeps_every_argument(self):
        encoder = small_encoder(value_range=(0, 1), channel_mean=0.4, channel_std=0.2)
        config = json.loads(json.dumps(encoder.get_config()))
        rebuilt = Encoder.from_config(config)
        assert json.dumps(rebuilt.get_config()) == json.dumps(config)
        assert rebuilt.value_range == (0.0, 1.0)
        assert rebuilt.recipe["channel_std"] == [0.2]

    def test_clones(self):
        encoder = small_encoder()
        clone = keras.models.clone_model(encoder)
        assert type(clone) is Encoder
        assert clone.feature_dim == encoder.feature_dim


class WrapTest(TestCase):
    def test_takes_any_model(self):
        model = small_model()
        encoder = Encoder.wrap(model)
        x = images(2, 8, 8, 1)
        self.assert_close(encoder(x), model(x / np.float32(255)))
        assert encoder.backbone is model
        assert encoder.feature_dim == 4
        assert encoder.image_shape == (8, 8, 1)

    @pytest.mark.parametrize(
        "preprocessing",
        [lambda x: 2 * x - 1, keras.layers.Rescaling(2.0, offset=-1.0)],
        ids=["function", "layer"],
    )
    def test_preprocessing_is_inside_the_network(self, preprocessing):
        model = small_model()
        encoder = Encoder.wrap(model, preprocessing=preprocessing)
        x = images(2, 8, 8, 1)
        self.assert_close(encoder(x), model(x / np.float32(127.5) - 1), atol=1e-5)
        views = x / np.float32(255)
        self.assert_close(encoder.encode(views), encoder(x), atol=1e-5)

    def test_weights_are_shared(self):
        model = small_model()
        encoder = Encoder.wrap(model)
        model.set_weights([np.ones(w.shape) for w in model.get_weights()])
        self.assert_close(encoder(np.zeros((1, 8, 8, 1), "uint8")), np.ones((1, 4)))

    def test_any_image_size_if_the_model_takes_any(self):
        inputs = keras.Input((None, None, 1))
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
        encoder = Encoder.wrap(keras.Model(inputs, x))
        assert encoder(images(2, 9, 7, 1)).shape == (2, 4)
        with pytest.raises(ValueError, match="channels=1"):
            encoder(images(2, 9, 7, 3))

    def test_saves_and_loads_as_keras_file(self, tmp_path):
        encoder = Encoder.wrap(
            small_model(), preprocessing=keras.layers.Rescaling(2.0), value_range=(0, 1)
        )
        encoder.save(tmp_path / "wrapped.keras")
        reloaded = keras.saving.load_model(tmp_path / "wrapped.keras")
        x = images(2, 8, 8, 1)
        self.assert_close(reloaded(x), encoder(x), atol=0, rtol=0)
        assert reloaded.backbone.name == "small"

    def test_a_backbone_of_keras_hub(self, tmp_path):
        """With random weights; runs with the extra `keras-hub`."""
        keras_hub = pytest.importorskip("keras_hub")
        backbone = keras_hub.models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64],
            stackwise_num_blocks=[1],
            stackwise_num_strides=[1],
            block_type="basic_block",
            image_shape=(16, 16, 3),
        )
        pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
        model = tc2.layers.make_twice_differentiable(
            keras.Model(backbone.inputs, pooled)
        )
        encoder = Encoder.wrap(model)
        x = images(4, 16, 16, 3)
        features = encoder(x)
        assert features.shape == (4, encoder.feature_dim) == (4, 64)
        pretrainer = tc2.TC2Pretrainer(
            encoder,
            objective="nt_xent",
            num_tasks=2,
            num_inner_steps=1,
            inner_scope="encoder",
        )
        views = x / np.float32(255)
        losses, gradients = pretrainer.value_and_gradients(views, views[:, :, ::-1])
        assert np.isfinite(losses["loss"])
        assert any(np.any(gradient) for gradient in gradients)
        encoder.save(tmp_path / "wrapped.keras")
        reloaded = keras.saving.load_model(tmp_path / "wrapped.keras")
        self.assert_close(reloaded(x), encoder(x), atol=0, rtol=0)

    @pytest.mark.parametrize(
        ("make_model", "message"),
        [
            (lambda: small_model(rank=4), "GlobalAveragePooling2D or Flatten"),
            (lambda: keras.Sequential([keras.layers.Dense(2)]), "no fixed shapes"),
            (lambda: keras.layers.Dense(2), "must be a keras.Model"),
            (
                lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]),
                "one batch of images",
            ),
            (lambda: two_inputs(), "one batch of images"),
        ],
        ids=["feature_map", "unbuilt", "layer", "vectors", "two_inputs"],
    )
    def test_models_that_are_no_encoders(self, make_model, message):
        with pytest.raises(ValueError, match=message):
            Encoder.wrap(make_model())


def two_inputs():
    a, b = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    return keras.Model([a, b], keras.layers.GlobalAveragePooling2D()(a + b))
