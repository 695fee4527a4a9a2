import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.objectives import VICReg, vicreg
from tests.test_case import TestCase

WEIGHTS = {"invariance_weight": 25, "variance_weight": 25, "covariance_weight": 1}


def reference(z1, z2, invariance_weight, variance_weight, covariance_weight):
    """The loss as the authors' code computes it, element by element."""
    dim = z1.shape[1]
    invariance = np.mean((z1 - z2) ** 2)
    variance = covariance = 0
    for z in (z1, z2):
        std = np.sqrt(np.var(z, axis=0, ddof=1) + 1e-4)
        variance += np.mean(np.maximum(0, 1 - std)) / 2
        matrix = np.cov(z, rowvar=False)
        covariance += np.sum((matrix - np.diag(np.diag(matrix))) ** 2) / dim
    return (
        invariance_weight * invariance
        + variance_weight * variance
        + covariance_weight * covariance
    )


def embeddings(batch=6, dim=5, dtype="float64"):
    return (0.7 * np.random.default_rng(0).normal(size=(2, batch, dim))).astype(dtype)


class VICRegTest(TestCase):
    @pytest.mark.parametrize("weights", [(25, 25, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    def test_golden_values(self, weights):
        z1, z2 = embeddings()
        loss = vicreg(z1, z2, **dict(zip(WEIGHTS, weights, strict=True)))
        self.assert_close(loss, reference(z1, z2, *weights), rtol=1e-9)

    def test_invariances(self):
        z1, z2 = embeddings()
        loss = vicreg(z1, z2, **WEIGHTS)
        order = np.random.default_rng(1).permutation(len(z1))
        self.assert_close(vicreg(z1[order], z2[order], **WEIGHTS), loss)
        self.assert_close(vicreg(z2, z1, **WEIGHTS), loss)
        self.assert_close(vicreg(z1 + 5, z2 + 5, **WEIGHTS), loss)
        assert abs(float(vicreg(2 * z1, 2 * z2, **WEIGHTS) - loss)) > 1e-3

    def test_gradients(self, float64):
        z1, z2 = (tf.Variable(z) for z in embeddings())
        z1.path, z2.path = "z1", "z2"
        with tf.GradientTape() as tape:
            loss = vicreg(z1, z2, **WEIGHTS)
        gradients = tape.gradient(loss, [z1, z2])
        self.check_gradients(lambda: vicreg(z1, z2, **WEIGHTS), [z1, z2], gradients)

    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_extremes_are_finite(self, dtype):
        z1, z2 = embeddings(batch=2, dtype=dtype)
        for a, b in [(z1, z1), (0 * z1, 0 * z2), (5 * z1, -5 * z1), (z1, z2)]:
            a = tf.Variable(a)
            with tf.GradientTape() as tape:
                loss = VICReg()(a, b)
            assert loss.dtype == tf.float32
            assert np.isfinite(loss)
            assert np.all(np.isfinite(tape.gradient(loss, a)))

    def test_config(self):
        arguments = {
            "invariance_weight": 10.0,
            "variance_weight": 5.0,
            "covariance_weight": 2.0,
            "gather": True,
        }
        self.run_config_test(VICReg, arguments)

    @pytest.mark.parametrize("name", list(WEIGHTS))
    def test_refuses_negative_weights(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be a finite number >= 0"):
            VICReg(**{name: -1})
