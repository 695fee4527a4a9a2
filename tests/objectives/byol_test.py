import numpy as np
import pytest

from keras_tc2.objectives import BYOL, byol
from keras_tc2.optimizers import MomentumSchedule
from tests.objectives import loss_checks
from tests.test_case import TestCase


def reference(p1, p2, t1, t2):
    """Equation 2, in both directions, image by image."""
    losses = []
    for i in range(len(p1)):
        total = 0
        for p, t in ((p1[i], t2[i]), (p2[i], t1[i])):
            total += np.sum((p / np.linalg.norm(p) - t / np.linalg.norm(t)) ** 2)
        losses.append(total)
    return np.mean(losses)


class BYOLTest(TestCase):
    def test_golden_values(self):
        values = loss_checks.arrays(4)
        self.assert_close(byol(*values), reference(*values), rtol=1e-9)

    def test_bounds(self):
        a, b = loss_checks.arrays(2)
        self.assert_close(byol(a, b, b, a), 0, atol=1e-9)
        self.assert_close(byol(a, b, -b, -a), 8, atol=1e-9)

    def test_invariances(self):
        p1, p2, t1, t2 = loss_checks.arrays(4)
        loss = byol(p1, p2, t1, t2)
        order = np.random.default_rng(1).permutation(len(p1))
        self.assert_close(byol(*(x[order] for x in (p1, p2, t1, t2))), loss)
        self.assert_close(byol(p2, p1, t2, t1), loss)
        self.assert_close(byol(2 * p1, 3 * p2, 4 * t1, 5 * t2), loss)
        assert abs(float(byol(p1, p2, t2, t1) - loss)) > 1e-3

    def test_gradients(self, float64):
        p1, p2, t1, t2 = loss_checks.arrays(4)
        loss_checks.check_gradients(self, lambda a, b: byol(a, b, t1, t2), [p1, p2])
        loss_checks.assert_no_gradient(lambda a, b: byol(p1, p2, a, b), [t1, t2])

    def test_extremes_are_finite(self):
        loss_checks.assert_finite(BYOL(), num_targets=2)

    def test_predictor(self):
        head = BYOL().make_head(4, (8, 8, 1))
        assert (head.output_dim, head.hidden_dim, head.num_layers) == (4, 64, 2)
        assert not head.synchronized
        head = BYOL(hidden_dim=7, batch_normalization=False).make_head(4, (8, 8, 1))
        assert (head.hidden_dim, head.batch_normalization) == (7, False)
        assert BYOL(gather=True).make_head(4, (8, 8, 1)).synchronized

    def test_config(self):
        arguments = {
            "hidden_dim": 3,
            "batch_normalization": False,
            "momentum": 0.5,
            "gather": True,
        }
        self.run_config_test(BYOL, arguments)
        schedule = MomentumSchedule(0.9, 10, end=0.95)
        rebuilt = self.run_config_test(BYOL, {**arguments, "momentum": schedule})
        self.assert_close(rebuilt.momentum(5), schedule(5))

    def test_refuses(self):
        with pytest.raises(ValueError, match="`hidden_dim` must be an integer"):
            BYOL(hidden_dim=0)
        with pytest.raises(ValueError, match=r"`momentum` must be a number in \[0, 1"):
            BYOL(momentum=1.5)
