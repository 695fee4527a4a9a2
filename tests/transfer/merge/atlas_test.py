import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.bilevel import value_and_gradients
from keras_tc2.transfer import merge
from keras_tc2.transfer.merge.atlas import AnisotropicScaling
from keras_tc2.transfer.merge.labelled import labelled_arrays
from tests.test_case import TestCase
from tests.transfer.merge import networks

IMAGES, LABELS = networks.images(), np.arange(12) % 3


class AnisotropicScalingTest(TestCase):
    def test_gradients(self):
        base = networks.encoder(dtype="float64")
        scaling = AnisotropicScaling(
            base, [networks.tuned(base, seed) for seed in (1, 2)]
        )
        rng = np.random.default_rng(0)
        shapes = (2, len(scaling.blocks)), (4, 3), (3,)
        variables = [
            keras.Variable(rng.normal(size=s), dtype="float64") for s in shapes
        ]

        def loss(values):
            return scaling.loss(*values, tf.cast(IMAGES, "float64"), LABELS)

        _, gradients = value_and_gradients(loss, variables)
        self.check_gradients(lambda: loss(variables), variables, gradients)

    def test_loss_is_that_of_the_composed_encoder(self):
        base = networks.encoder()
        encoders = [networks.tuned(base, seed) for seed in (1, 2)]
        scaling = AnisotropicScaling(base, encoders)
        # Kernel, bias, gain, shift, and kernel and bias of the last layer.
        trained = networks.trained_weights(base)
        assert scaling.blocks == [base.weights[i].path for i in trained]
        rng = np.random.default_rng(0)
        coefficients = rng.normal(size=(2, len(trained))).astype("float32")
        kernel = rng.normal(size=(4, 3)).astype("float32")
        bias = rng.normal(size=3).astype("float32")
        found = scaling.loss(coefficients, kernel, bias, IMAGES, LABELS)

        by_hand = keras.models.clone_model(base)
        values = base.get_weights()
        for column, i in enumerate(trained):
            for row, encoder in enumerate(encoders):
                vector = encoder.get_weights()[i] - base.get_weights()[i]
                values[i] = values[i] + coefficients[row, column] * vector
        by_hand.set_weights(values)
        features = np.asarray(by_hand(IMAGES, training=True), "float64")
        features = (features - features.mean(0)) / np.sqrt(features.var(0) + 1e-3)
        logits = features @ kernel + bias
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        self.assert_close(found, -logs[np.arange(12), LABELS].mean(), rtol=1e-4)


class AtlasTest(TestCase):
    def test_learns_which_encoder_helps(self):
        # The third encoder's first kernel shows the brightness that tells classes.
        base = networks.encoder(normalized=False)
        base.layers[0].kernel.assign(
            base.layers[0].kernel - np.mean(base.layers[0].kernel, (0, 1))
        )
        useless, helpful = networks.tuned(base, 1, scale=0.01), networks.tuned(base, 2)
        images = IMAGES * 0.1 + LABELS[:, None, None, None].astype("float32")
        before = base.get_weights()
        result = merge.atlas(
            base, [useless, helpful], (images, LABELS), steps=40, learning_rate=0.1
        )
        assert result["coefficients"].shape == (2, 4) == (2, len(result["blocks"]))
        assert len(result["loss"]) == 40
        assert result["loss"][0] == pytest.approx(np.log(3), rel=1e-5)
        assert result["loss"][-1] < 0.5 * result["loss"][0]
        for column, (value, start) in enumerate(
            zip(result["encoder"].get_weights(), before, strict=True)
        ):
            expected = start.astype("float64")
            for row, encoder in enumerate((useless, helpful)):
                vector = encoder.get_weights()[column] - start
                expected = expected + result["coefficients"][row, column] * vector
            self.assert_close(value, expected, rtol=1e-4, atol=1e-5)
        for a, b in zip(before, base.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_statistics_are_those_of_the_images(self):
        base = networks.encoder()
        others = [networks.tuned(base, 1)]
        more = networks.images(20, seed=3)
        for images, expected in ((None, IMAGES), (more, more)):
            merged = merge.atlas(
                base, others, (IMAGES, LABELS), steps=1, images=images
            )["encoder"]
            maps = np.asarray(merged.layers[0](expected), "float64")
            mean = merged.layers[1].moving_mean
            self.assert_close(mean, maps.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)

    def test_a_seed_repeats(self):
        base = networks.encoder()
        results = [
            merge.atlas(
                base,
                [networks.tuned(base, 1)],
                tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)),
                steps=3,
                batch_size=5,
                seed=seed,
            )["loss"]
            for seed in (0, 0, 1)
        ]
        np.testing.assert_allclose(results[0], results[1], rtol=1e-6)
        assert abs(results[0][-1] - results[2][-1]) > 1e-6

    def test_labels_may_be_a_column(self):
        images, ids, number = labelled_arrays("`train`", (IMAGES, LABELS[:, None] + 4))
        np.testing.assert_array_equal(ids, LABELS)
        assert images is IMAGES and number == 3

    def test_errors(self):
        base = networks.encoder()
        others = [networks.tuned(base, 1)]
        good = IMAGES, LABELS
        for arguments, words in (
            ((base, [], good), "at least 1 encoders"),
            ((base, others, IMAGES), "Labels of `train` are missing"),
            ((base, others, (IMAGES, LABELS[:3])), "one label for each"),
            ((base, others, (IMAGES, np.eye(3)[LABELS])), "labels of train.*argmax"),
            ((base, [networks.encoder(filters=5)], good), "filters: 3 and 5"),
        ):
            with pytest.raises(ValueError, match=words):
                merge.atlas(*arguments)
        for name, value in (
            ("steps", 0),
            ("batch_size", 1),
            ("learning_rate", 0),
            ("weight_decay", -1),
            ("seed", -1),
        ):
            with pytest.raises(ValueError, match=name):
                merge.atlas(base, others, good, **{name: value})
