import json

import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2 import encoders, hub, layers
from keras_tc2.encoders import Classifier, Encoder
from keras_tc2.encoders.encoder_copy import copy_of
from keras_tc2.optimizers import Partwise
from tests import tiny
from tests.hub.conftest import TOKEN, server  # noqa: F401
from tests.test_case import TestCase

SHAPE = (8, 8, 1)
GENERATOR = np.random.default_rng(0)
LABELS = np.arange(32) % 2
# Class 1 is bright.
IMAGES = GENERATOR.integers(0, 100, (32, *SHAPE)) + 100 * LABELS[:, None, None, None]
IMAGES = IMAGES.astype("uint8")


def new_encoder():
    return encoders.create("convnet", input_shape=SHAPE, widths=(4,))


def trained(encoder=None, *, epochs=1, classes=("dark", "bright"), **options):
    keras.utils.set_random_seed(3)
    model = Classifier(encoder or new_encoder(), 2, classes=classes)
    model.compile(keras.optimizers.Adam(0.03), **options)
    model.fit(IMAGES, LABELS, epochs=epochs, verbose=0)
    return model


class ClassifierTest(TestCase):
    def test_learns(self):
        adam = keras.optimizers.Adam(0.003)
        model = trained(epochs=60, encoder_optimizer=adam)
        assert set(model.history.history) == {"loss", "accuracy"}
        found = model.classify(IMAGES)
        assert np.mean(found == np.where(LABELS, "bright", "dark")) > 0.9
        logits = np.asarray(model(IMAGES))
        assert logits.shape == (32, 2)
        np.testing.assert_array_equal(found == "bright", logits.argmax(axis=1) == 1)
        assert model.evaluate(IMAGES, LABELS, verbose=0)[1] > 0.9

    def test_every_argument_survives(self):
        self.run_config_test(
            Classifier,
            {
                "encoder": new_encoder(),
                "head": layers.ClassificationHead(3, standardize=False),
                "classes": ["a", "b", 7],
            },
        )

    @pytest.mark.parametrize("encoder_optimizer", [None, "adam"])
    def test_is_saved_with_its_optimizers(self, encoder_optimizer, tmp_path):
        model = trained(encoder_optimizer=encoder_optimizer)
        model.save(tmp_path / "classifier.keras")
        again = keras.saving.load_model(tmp_path / "classifier.keras")
        np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))
        assert again.classes == ["dark", "bright"]
        assert isinstance(again.optimizer, Partwise) == (encoder_optimizer is not None)
        assert len(again.optimizer.variables) == len(model.optimizer.variables)
        for one, other in zip(
            model.optimizer.variables, again.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(one, other)
        # Both go on alike.
        for each in (model, again):
            keras.utils.set_random_seed(5)
            each.fit(IMAGES, LABELS, verbose=0)
        np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))

    def test_any_keras_model_is_an_encoder(self, tmp_path):
        model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
        classifier = trained(model, classes=None)
        assert set(classifier.classify(IMAGES)) <= {0, 1}
        classifier.save(tmp_path / "classifier.keras")
        again = keras.saving.load_model(tmp_path / "classifier.keras")
        np.testing.assert_array_equal(again.predict(IMAGES), classifier.predict(IMAGES))
        with pytest.raises(ValueError, match=r"`classifier.save\("):
            classifier.save_pretrained(tmp_path / "folder")

    @pytest.mark.parametrize("encoder_optimizer", [None, "sgd"])
    def test_half_precision_scales_the_loss(self, encoder_optimizer):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_float16")
        try:
            encoder = new_encoder()
        finally:
            keras.config.set_dtype_policy(before)
        # The first scales are too large for this model: their updates are skipped.
        model = trained(encoder, epochs=8, encoder_optimizer=encoder_optimizer)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert 0 < int(model.optimizer.inner_optimizer.iterations) <= 8
        assert np.all(np.isfinite(model.predict(IMAGES, verbose=0)))
        plain = trained(new_encoder())
        assert not isinstance(plain.optimizer, keras.optimizers.LossScaleOptimizer)

    def test_only_as_many_names_as_logits(self):
        with pytest.raises(ValueError, match="each of the 2 logits"):
            Classifier(new_encoder(), 2, classes="abc")

    def test_is_exported(self, tmp_path):
        trained().export(tmp_path / "saved_model")
        assert (tmp_path / "saved_model" / "saved_model.pb").exists()

    def test_a_model_of_keras_is_exported(self, tmp_path):
        inputs = keras.Input(SHAPE)
        encoder = keras.Model(inputs, keras.layers.Flatten()(inputs))
        model = Classifier(encoder, 2)
        model.export(tmp_path / "saved_model", input_dtype="float32")
        assert (tmp_path / "saved_model" / "saved_model.pb").exists()


class FolderTest(TestCase):
    def test_a_folder_holds_encoder_and_classifier(self, tmp_path):
        model = trained(classes=[3, 10])
        model.save_pretrained(tmp_path)
        again = Classifier.from_pretrained(tmp_path)
        np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))
        assert again.classes == [3, 10] and set(again.classify(IMAGES)) <= {3, 10}
        encoder = tc2.from_pretrained(tmp_path)
        np.testing.assert_array_equal(
            encoder.predict(IMAGES), model.encoder.predict(IMAGES)
        )
        frozen = Classifier.from_pretrained(tmp_path, trainable=False)
        assert frozen.trainable_variables == []

    def test_many_classes(self, tmp_path):
        names = [f"class {number}" for number in range(100)]
        model = Classifier(new_encoder(), 100, classes=names)
        model.save_pretrained(tmp_path)
        assert Classifier.from_pretrained(tmp_path).classes == names

    def test_what_could_not_be_read_is_not_written(self, tmp_path):
        model = Classifier(new_encoder(), 6000, classes=["n" * 200] * 6000)
        with pytest.raises(hub.ConfigError, match=r"1048576 are read.*`classes`"):
            model.save_pretrained(tmp_path)

    def test_an_encoder_alone(self, tmp_path):
        new_encoder().save_pretrained(tmp_path)
        with pytest.raises(FileNotFoundError, match="without a classifier"):
            Classifier.from_pretrained(tmp_path)

    def test_beside_another_encoder(self, tmp_path):
        trained().save_pretrained(tmp_path)
        new_encoder().save_pretrained(tmp_path)
        with pytest.raises(hub.ConfigError, match="classifier belongs to another enc"):
            Classifier.from_pretrained(tmp_path)
        trained().save_pretrained(tmp_path)
        path = tmp_path / "classifier" / "config.json"
        older = json.loads(path.read_text())
        del older["encoder_sha256"]
        path.write_text(json.dumps(older))
        assert Classifier.from_pretrained(tmp_path).classes == ["dark", "bright"]

    @pytest.mark.parametrize(
        "change",
        [
            {"num_classes": 10**12},
            {"num_classes": "two"},
            {"num_classes": 1},
            {"classes": ["one"]},
            {"classes": ["name"] * 10**4},
            {"classes": {"a": 1}},
            {"weights_sha256": "0" * 64},
            {"more": 1},
        ],
        ids=str,
    )
    def test_a_stranger_s_config(self, change, tmp_path):
        trained().save_pretrained(tmp_path)
        path = tmp_path / "classifier" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with pytest.raises(hub.FolderError):
            Classifier.from_pretrained(tmp_path)

    def test_pushed_and_fetched(self, server):  # noqa: F811
        model = trained()
        model.push_to_hub("me/clf", token=TOKEN)
        files = server.files("me/clf")
        card = files["README.md"].decode()
        assert "classifier/model.weights.h5" in files
        assert "image-classification" in card and "dark, bright" in card
        assert 'Classifier.from_pretrained("me/clf")' in card
        again = Classifier.from_pretrained("me/clf", token=TOKEN)
        np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))
        assert again.classes == ["dark", "bright"]
        assert isinstance(tc2.from_pretrained("me/clf", token=TOKEN), Encoder)
        new_encoder().push_to_hub("me/clf", token=TOKEN)
        assert not [name for name in server.files("me/clf") if "classifier" in name]


class CopyTest(TestCase):
    @pytest.mark.parametrize("kind", ["recipe", "wrapped", "keras"])
    def test_a_copy_remembers_what_is_frozen(self, kind, tmp_path):
        encoder = {
            "recipe": new_encoder,
            "wrapped": tiny.encoder,
            "keras": lambda: tiny.encoder().network,
        }[kind]()
        leaves = [x for x in encoder._flatten_layers() if x.weights and not x._layers]
        leaves[0].trainable = False
        number = len(encoder.trainable_variables)
        assert number < len(encoder.weights)
        encoder.save(tmp_path / "encoder.keras")
        loaded = keras.saving.load_model(tmp_path / "encoder.keras")
        for twin in (copy_of(encoder), loaded):
            assert len(twin.trainable_variables) == number
            assert [v.path.split("/")[-2:] for v in twin.trainable_variables] == [
                v.path.split("/")[-2:] for v in encoder.trainable_variables
            ]

    @pytest.mark.parametrize("kind", ["recipe", "wrapped", "keras"])
    def test_a_frozen_encoder_stays_frozen(self, kind, tmp_path):
        encoder = {
            "recipe": new_encoder,
            "wrapped": lambda: Encoder.wrap(new_encoder().network),
            "keras": lambda: new_encoder().network,
        }[kind]()
        encoder.trainable = False
        trained(encoder).save(tmp_path / "classifier.keras")
        again = keras.saving.load_model(tmp_path / "classifier.keras")
        before = again.encoder.get_weights()
        again.fit(IMAGES, LABELS, verbose=0)
        for weight, old in zip(again.encoder.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, old)
        assert not again.encoder.trainable

    def test_a_frozen_encoder_of_an_older_file(self):
        encoder = new_encoder()
        encoder.trainable = False
        config = encoder.get_config()
        del config["frozen_layers"]
        again = Classifier(Encoder.from_config(config), 2)
        assert again.trainable_variables == again.head.trainable_variables

    def test_a_frozen_head_stays_frozen(self, tmp_path):
        model = Classifier(new_encoder(), 2)
        model.head.trainable = False
        model.save(tmp_path / "classifier.keras")
        again = keras.saving.load_model(tmp_path / "classifier.keras")
        assert again.trainable_variables == again.encoder.trainable_variables

    @pytest.mark.parametrize("made", ["float32", "mixed_bfloat16"])
    def test_under_another_precision(self, made, tmp_path):
        policies = {"float32", "mixed_bfloat16"}
        keras.config.set_dtype_policy(made)
        encoder = new_encoder()
        encoder.save(tmp_path / "encoder.keras")
        keras.config.set_dtype_policy(*policies - {made})
        loaded = keras.saving.load_model(tmp_path / "encoder.keras")
        for twin in (copy_of(encoder), loaded):
            assert twin.backbone.layers[1].dtype_policy.name == made
            self.assert_close(twin(IMAGES), encoder(IMAGES), atol=0, rtol=0)
        assert keras.config.dtype_policy().name != made

    def test_a_copy_synchronizes_as_the_encoder_does(self):
        encoder = tc2.layers.synchronize(new_encoder())
        (norm,) = (
            layer
            for layer in copy_of(encoder)._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        )
        assert norm.synchronized


class BiSSLClassifierTest(TestCase):
    def test_the_lower_encoder_with_the_head(self):
        from tests.pretraining.bissl import tiny_bissl

        model = tiny_bissl.trainer()
        classifier = model.classifier(classes=["a", "b", "c"])
        images, _ = tiny_bissl.labelled()
        features = model.encoder(images)
        self.assert_close(classifier(images), model.downstream_head(features))
        classifier.head.dense.bias.assign([9.0, 9.0, 9.0])
        assert np.all(np.asarray(model.downstream_head.dense.bias) == 0)
