import numpy as np
import pytest

from keras_tc2.layers import WeightExtractor
from tests.test_case import TestCase


def inputs(dtype="float64"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 5)).astype(dtype), rng.normal(size=(3, 5)).astype(dtype)


class WeightExtractorTest(TestCase):
    def test_layer(self, tmp_path):
        embeddings, factors = inputs("float32")
        arguments = {"hidden_dim": 7, "residual": True, "nonnegative": True}
        layer = self.run_layer_test(
            WeightExtractor,
            arguments,
            {"embeddings": embeddings, "factors": factors},
            tmp_path,
        )
        weights = np.asarray(layer(embeddings, factors))
        assert weights.shape == (6, 3)
        assert weights.min() == 0
        assert weights.max() > 0

    def test_starts_at_zero_without_the_residual(self):
        assert np.all(np.asarray(WeightExtractor()(*inputs("float32"))) == 0)

    def test_starts_as_products_with_the_residual(self, float64):
        embeddings, factors = inputs()
        weights = WeightExtractor(residual=True)(embeddings, factors)
        self.assert_close(weights, embeddings @ factors.T)

    def test_values_against_numpy(self, float64):
        embeddings, factors = inputs()
        layer = WeightExtractor(hidden_dim=4)
        layer.build(embeddings.shape)
        rng = np.random.default_rng(1)
        w1, b1, w2, b2 = values = [rng.normal(size=v.shape) for v in layer.weights]
        layer.set_weights(values)
        codes = np.maximum(embeddings @ w1 + b1, 0) @ w2 + b2
        self.assert_close(layer(embeddings, factors), codes @ factors.T)

    def test_refuses_weights_that_could_never_learn(self):
        with pytest.raises(
            ValueError, match="`nonnegative=True` needs `residual=True`"
        ):
            WeightExtractor(nonnegative=True)
