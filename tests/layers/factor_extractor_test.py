import numpy as np
import pytest

from keras_tc2.layers import FactorExtractor
from tests.test_case import TestCase


def embeddings(batch=6, dim=5, dtype="float64"):
    return np.random.default_rng(0).normal(size=(batch, dim)).astype(dtype)


class FactorExtractorTest(TestCase):
    def test_layer(self, tmp_path):
        z = embeddings(dtype="float32")
        layer = self.run_layer_test(FactorExtractor, {"num_factors": 3}, z, tmp_path)
        assert layer(z).shape == (3, 5)

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
        scores = q @ (z @ a).T / np.sqrt(5)
        attention = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        expected = q + attention @ (z @ b) @ o
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        self.assert_close(layer(z), expected)
        order = rng.permutation(len(z))
        self.assert_close(layer(z[order]), expected)

    def test_refuses_zero_factors(self):
        with pytest.raises(ValueError, match="`num_factors` must be an integer >= 1"):
            FactorExtractor(0)
