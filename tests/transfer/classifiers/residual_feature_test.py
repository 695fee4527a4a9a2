import keras
import numpy as np
import pytest

from keras_tc2 import encoders
from keras_tc2.transfer import ResidualFeatureClassifier
from tests.test_case import TestCase

RNG = np.random.default_rng(0)
LABELS = np.arange(48) % 2
IMAGES = RNG.integers(0, 100, (48, 6, 6, 1))
IMAGES[LABELS == 0, :3] += 150
IMAGES[LABELS == 1, 3:] += 150
IMAGES = IMAGES.astype("uint8")


def encoder(width=4, *, shape=(6, 6, 1), seed=0):
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(
                width, kernel_initializer=keras.initializers.GlorotUniform(seed)
            ),
            keras.layers.BatchNormalization(momentum=0.5),
        ]
    )


def blind():
    """Features that say nothing of the images."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Rescaling(0.0),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(7, bias_initializer="ones"),
        ]
    )


class ResidualFeatureClassifierTest(TestCase):
    def test_logits_are_those_of_both_features_side_by_side(self):
        model = ResidualFeatureClassifier(encoder(5), encoder(3, seed=1), 2)
        parts = []
        for part in (model.source, model.target):
            h = np.asarray(part(IMAGES, training=False))
            mean, spread = h.mean(1, keepdims=True), h.var(1, keepdims=True)
            parts.append((h - mean) / np.sqrt(spread + 1e-3))
        expected = np.concatenate(parts, 1) @ model.classifier.kernel.numpy()
        self.assert_close(model(IMAGES, training=False), expected, atol=1e-4)

    def test_the_source_stays_and_the_target_learns(self):
        source, target = encoder(5), encoder(3, seed=1)
        before = [np.array(w) for w in source.get_weights()]
        start = [np.array(w) for w in target.get_weights()]
        model = ResidualFeatureClassifier(source, target, 2)
        model.compile(keras.optimizers.Adam(0.05))
        model.fit(IMAGES, LABELS, epochs=2, verbose=0)
        for a, b in zip(before, source.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert source.trainable
        moved = [
            np.any(a != b) for a, b in zip(start, target.get_weights(), strict=True)
        ]
        assert all(moved)
        assert len(model.trainable_variables) == len(target.trainable_variables) + 2

    def test_a_useless_source_does_no_harm(self):
        model = ResidualFeatureClassifier(blind(), encoder(4), 2)
        model.compile(keras.optimizers.Adam(0.05))
        model.fit(IMAGES[:32], LABELS[:32], epochs=8, verbose=0)
        _, accuracy = model.evaluate(IMAGES[32:], LABELS[32:], verbose=0)
        assert accuracy > 0.9

    def test_config(self):
        self.run_config_test(
            ResidualFeatureClassifier,
            {
                "source": encoder(5),
                "target": encoder(3),
                "num_classes": 4,
                "seed": 3,
            },
        )

    def test_saves_and_loads(self, tmp_path):
        source = encoders.create("convnet", input_shape=(6, 6, 1), widths=(4,))
        source.save_pretrained(tmp_path / "source")
        model = ResidualFeatureClassifier(tmp_path / "source", encoder(3), 2)
        model.compile()
        model.fit(IMAGES, LABELS, epochs=1, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
        assert len(loaded.trainable_variables) == len(model.trainable_variables)

    def test_errors(self):
        one = encoder()
        with pytest.raises(ValueError, match="two models"):
            ResidualFeatureClassifier(one, one, 2)
        with pytest.raises(ValueError, match="images of one shape"):
            ResidualFeatureClassifier(one, encoder(shape=(8, 8, 1)), 2)
        with pytest.raises(ValueError, match="`num_classes` must be"):
            ResidualFeatureClassifier(one, encoder(), 1)
