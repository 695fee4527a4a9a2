import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers import FactorExtractor, TaskCalibrator
from tests.test_case import TestCase


def embeddings(batch=6, dim=5, dtype="float64"):
    return np.random.default_rng(0).normal(size=(batch, dim)).astype(dtype)


class FactorExtractorTest(TestCase):
    def test_layer(self, tmp_path):
        z = embeddings(dtype="float32")
        arguments = {"num_factors": 3, "from_batch": False}
        self.run_layer_test(FactorExtractor, arguments, z, tmp_path)
        assert FactorExtractor(3)(z).shape == (3, 5)

    def test_starts_as_orthonormal_directions(self):
        layer = FactorExtractor(4)
        factors = np.asarray(layer(embeddings(dtype="float32")))
        self.assert_close(factors @ factors.T, np.eye(4), atol=1e-5)

    def test_values_against_numpy(self, float64):
        z = embeddings()
        layer = FactorExtractor(3)
        layer.build(z.shape)
        rng = np.random.default_rng(1)
        q, a, b, o = values = [rng.normal(size=v.shape) for v in layer.weights]
        layer.set_weights(values)
        unit = z / np.sqrt(np.mean(z**2))
        scores = q @ (unit @ a).T / np.sqrt(5)
        attention = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        expected = q + attention @ (unit @ b) @ o / 5
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        self.assert_close(layer(z), expected)
        order = rng.permutation(len(z))
        self.assert_close(layer(z[order]), expected)
        # The objective leaves the length of embeddings free.
        self.assert_close(layer(100 * z), expected)
        assert np.all(np.isfinite(layer(0 * z)))

    def test_without_the_batch_are_its_parameters(self, float64):
        layer = FactorExtractor(3, from_batch=False)
        layer.build((None, 5))
        (variable,) = layer.weights
        q = np.random.default_rng(1).normal(size=(3, 5))
        variable.assign(q)
        expected = q / np.sqrt(np.sum(q**2, axis=1, keepdims=True))
        self.assert_close(layer(embeddings()), expected)
        self.assert_close(layer(100 + embeddings()), expected)

    def test_a_large_step_does_not_make_all_factors_one(self):
        """Adam moves every entry of O at once; the factors must survive 0.01."""
        rng = np.random.default_rng(0)
        # All images near one direction, as embeddings are before training.
        z = (3 + rng.normal(size=(64, 64))).astype("float32")
        calibrator = TaskCalibrator(
            1,
            num_factors=32,
            factors_from_batch=True,
            calibration="residual",
            nonnegative_weights=False,
            task_embedding=False,
            weights_per="sample",
        )
        calibrator.build(z.shape)
        optimizer = keras.optimizers.Adam(0.01)
        reconstructions = []
        for _ in range(6):
            with tf.GradientTape() as tape:
                factors = calibrator.factors(z)
                parts = calibrator.regularizers(factors, z, tf.zeros((64, 32)))
                loss = parts["reconstruction"] + parts["orthogonality"]
            reconstructions.append(float(parts["reconstruction"]))
            variables = calibrator.factor_extractor.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        # The first step alone gave tens where rows of O Z were as long as Q's.
        assert max(reconstructions) == reconstructions[0]
        assert reconstructions[-1] < 0.9 * reconstructions[0]

    def test_refuses_zero_factors(self):
        with pytest.raises(ValueError, match="`num_factors` must be an integer >= 1"):
            FactorExtractor(0)
