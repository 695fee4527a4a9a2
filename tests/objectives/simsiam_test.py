import numpy as np
import pytest

from keras_tc2.objectives import SimSiam, simsiam
from tests.objectives import loss_checks
from tests.test_case import TestCase


def reference(p1, p2, z1, z2):
    """Equations 1 and 4."""
    first = -np.mean(np.diag(loss_checks.cosines(p1, z2)))
    second = -np.mean(np.diag(loss_checks.cosines(p2, z1)))
    return first / 2 + second / 2


class SimSiamTest(TestCase):
    def test_golden_values(self):
        values = loss_checks.arrays(4)
        self.assert_close(simsiam(*values), reference(*values), rtol=1e-9)

    def test_bounds(self):
        a, b = loss_checks.arrays(2)
        self.assert_close(simsiam(a, b, b, a), -1)
        self.assert_close(simsiam(a, b, -b, -a), 1)

    def test_invariances(self):
        p1, p2, z1, z2 = loss_checks.arrays(4)
        loss = simsiam(p1, p2, z1, z2)
        order = np.random.default_rng(1).permutation(len(p1))
        self.assert_close(simsiam(*(x[order] for x in (p1, p2, z1, z2))), loss)
        self.assert_close(simsiam(p2, p1, z2, z1), loss)
        self.assert_close(simsiam(2 * p1, 3 * p2, 4 * z1, 5 * z2), loss)
        assert abs(float(simsiam(p1, p2, z2, z1) - loss)) > 1e-3

    def test_gradients(self, float64):
        p1, p2, z1, z2 = loss_checks.arrays(4)
        loss_checks.check_gradients(self, lambda a, b: simsiam(a, b, z1, z2), [p1, p2])
        loss_checks.assert_no_gradient(lambda a, b: simsiam(p1, p2, a, b), [z1, z2])

    def test_extremes_are_finite(self):
        loss_checks.assert_finite(SimSiam(), num_targets=2)

    def test_predictor_is_a_bottleneck(self):
        assert SimSiam().make_head(8, (8, 8, 1)).hidden_dim == 2
        assert SimSiam().make_head(2, (8, 8, 1)).hidden_dim == 1
        assert SimSiam(hidden_dim=5).make_head(8, (8, 8, 1)).hidden_dim == 5

    def test_config(self):
        arguments = {"hidden_dim": 3, "batch_normalization": False, "gather": True}
        self.run_config_test(SimSiam, arguments)

    def test_refuses(self):
        with pytest.raises(ValueError, match="`hidden_dim` must be an integer"):
            SimSiam(hidden_dim=1.5)
