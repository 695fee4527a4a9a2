import numpy as np
import pytest

from keras_tc2.objectives import SwAV, sinkhorn, swav
from tests.objectives import loss_checks
from tests.test_case import TestCase

SETTING = {"temperature": 0.1, "epsilon": 0.5, "num_iterations": 3}


def reference_codes(scores, epsilon, num_iterations):
    """The authors' listing, which divides exponentials."""
    q = np.exp(scores / epsilon).T
    q /= q.sum()
    num_prototypes, batch = q.shape
    for _ in range(num_iterations):
        q /= q.sum(axis=1, keepdims=True) * num_prototypes
        q /= q.sum(axis=0, keepdims=True) * batch
    return (q * batch).T


def reference(scores, targets, temperature, epsilon, num_iterations):
    """Equation 2 for each pair of views, their mean."""
    losses = []
    for s, target in enumerate(targets):
        codes = reference_codes(target, epsilon, num_iterations)
        for t, score in enumerate(scores):
            if t != s:
                log_shares = loss_checks.log_softmax(score / temperature)
                losses.append(-np.mean(np.sum(codes * log_shares, axis=1)))
    return np.mean(losses)


class SinkhornTest(TestCase):
    @pytest.mark.parametrize("num_iterations", [1, 3])
    def test_golden_values(self, num_iterations):
        (scores,) = loss_checks.arrays(1)
        codes = sinkhorn(scores, epsilon=0.5, num_iterations=num_iterations)
        expected = reference_codes(scores, 0.5, num_iterations)
        self.assert_close(codes, expected, rtol=1e-9)

    def test_uses_prototypes_equally(self):
        (scores,) = loss_checks.arrays(1, batch=10, dim=5)
        codes = np.asarray(sinkhorn(scores, epsilon=0.5, num_iterations=200))
        self.assert_close(codes.sum(axis=1), np.ones(10))
        self.assert_close(codes.sum(axis=0), np.full(5, 2))
        # An offset of a prototype, which would win everywhere, changes nothing.
        offset = sinkhorn(scores + np.eye(5)[0], epsilon=0.5, num_iterations=200)
        self.assert_close(offset, codes)

    def test_small_epsilon_is_finite(self):
        (scores,) = loss_checks.arrays(1, dtype="float32")
        codes = np.asarray(sinkhorn(scores, epsilon=1e-4, num_iterations=3))
        assert np.all(np.isfinite(codes))
        self.assert_close(codes.sum(axis=1), np.ones(6))
        half = sinkhorn(scores.astype("float16"), epsilon=0.01, num_iterations=3)
        assert half.dtype == "float32"
        assert np.all(np.isfinite(half))


class SwAVTest(TestCase):
    @pytest.mark.parametrize("num_views", [2, 4])
    def test_golden_values(self, num_views):
        *scores, t1, t2 = loss_checks.arrays(num_views + 2)
        loss = swav(scores, [t1, t2], **SETTING)
        self.assert_close(loss, reference(scores, [t1, t2], **SETTING), rtol=1e-9)

    def test_invariances(self):
        s1, s2, local, t1, t2 = loss_checks.arrays(5)
        loss = swav([s1, s2, local], [t1, t2], **SETTING)
        rng = np.random.default_rng(1)
        images, prototypes = rng.permutation(6), rng.permutation(5)
        for order in (np.s_[images], np.s_[:, prototypes]):
            scores = [s1[order], s2[order], local[order]]
            self.assert_close(swav(scores, [t1[order], t2[order]], **SETTING), loss)
        self.assert_close(swav([s2, s1, local], [t2, t1], **SETTING), loss)
        crossed = swav([s2, s1, local], [t1, t2], **SETTING)
        assert abs(float(crossed - loss)) > 1e-3

    def test_gradients(self, float64):
        s1, s2, t1, t2 = loss_checks.arrays(4)
        loss_checks.check_gradients(
            self, lambda a, b: swav([a, b], [t1, t2], **SETTING), [s1, s2]
        )
        loss_checks.assert_no_gradient(
            lambda a, b: swav([s1, s2], [a, b], **SETTING), [t1, t2]
        )

    def test_extremes_are_finite(self):
        loss_checks.assert_finite(SwAV(5, temperature=0.01), num_targets=2)

    def test_config(self):
        arguments = {
            "num_prototypes": 7,
            "temperature": 0.2,
            "epsilon": 0.1,
            "num_iterations": 5,
            "gather": True,
        }
        self.run_config_test(SwAV, arguments)

    @pytest.mark.parametrize("name", ["num_prototypes", "epsilon", "num_iterations"])
    def test_refuses(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            SwAV(**{name: 0})
