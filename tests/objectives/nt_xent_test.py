import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.objectives import NTXent, get, nt_xent
from tests.test_case import TestCase


def reference(z1, z2, temperature):
    """Equation 1 of SimCLR, pair by pair."""
    z = np.concatenate([z1, z2])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, losses = len(z1), []
    for i in range(2 * n):
        similarities = z @ z[i] / temperature
        others = np.delete(similarities, i)
        log_sum = np.log(np.sum(np.exp(others - others.max()))) + others.max()
        losses.append(log_sum - similarities[(i + n) % (2 * n)])
    return np.mean(losses)


def embeddings(batch=6, dim=5, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=(2, batch, dim)).astype(dtype)


class NTXentTest(TestCase):
    @pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
    def test_golden_values(self, temperature):
        z1, z2 = embeddings()
        loss = nt_xent(z1, z2, temperature=temperature)
        self.assert_close(loss, reference(z1, z2, temperature), rtol=1e-9)

    def test_equal_embeddings_give_log_of_the_choices(self):
        z = np.ones((4, 3))
        self.assert_close(nt_xent(z, z, temperature=0.5), np.log(7))

    def test_invariances(self):
        z1, z2 = embeddings()
        loss = nt_xent(z1, z2, temperature=0.2)
        order = np.random.default_rng(1).permutation(len(z1))
        self.assert_close(nt_xent(z1[order], z2[order], temperature=0.2), loss)
        self.assert_close(nt_xent(z2, z1, temperature=0.2), loss)
        self.assert_close(nt_xent(3 * z1, 7 * z2, temperature=0.2), loss)
        shifted = np.roll(z2, 1, axis=0)
        assert abs(float(nt_xent(z1, shifted, temperature=0.2) - loss)) > 1e-3

    def test_gradients(self, float64):
        z1, z2 = (tf.Variable(z, name=f"z{i}") for i, z in enumerate(embeddings()))
        with tf.GradientTape() as tape:
            loss = nt_xent(z1, z2, temperature=0.2)
        gradients = tape.gradient(loss, [z1, z2])
        z1.path, z2.path = "z1", "z2"
        self.check_gradients(
            lambda: nt_xent(z1, z2, temperature=0.2), [z1, z2], gradients
        )

    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_extremes_are_finite(self, dtype):
        z1, z2 = embeddings(batch=2, dtype=dtype)
        for a, b in [(z1, z1), (0 * z1, 0 * z2), (100 * z1, -100 * z1), (z1, z2)]:
            a = tf.Variable(a)
            with tf.GradientTape() as tape:
                loss = NTXent(temperature=0.01)(a, b)
            assert loss.dtype == tf.float32
            assert np.isfinite(loss)
            assert np.all(np.isfinite(tape.gradient(loss, a)))

    def test_config(self):
        self.run_config_test(NTXent, {"temperature": 0.5, "gather": True})

    @pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), "warm"])
    def test_refuses_temperatures(self, temperature):
        with pytest.raises(
            ValueError, match="`temperature` must be a finite number > 0"
        ):
            NTXent(temperature=temperature)


class GetTest(TestCase):
    def test_by_name_and_as_it_is(self):
        objective = NTXent(0.5)
        assert get(objective) is objective
        assert isinstance(get("nt_xent"), NTXent)

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"nt_xent.*vicreg.*'infonce'"):
            get("infonce")
