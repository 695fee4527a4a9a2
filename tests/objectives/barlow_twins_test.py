import numpy as np
import pytest

from keras_tc2.objectives import BarlowTwins, barlow_twins
from tests.objectives import loss_checks
from tests.test_case import TestCase


def reference(z1, z2, redundancy_weight):
    """Equations 1 and 2, entry by entry."""
    z1, z2 = ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (z1, z2))
    loss, dim = 0, z1.shape[1]
    for i in range(dim):
        for j in range(dim):
            correlation = np.mean(z1[:, i] * z2[:, j])
            if i == j:
                loss += (1 - correlation) ** 2
            else:
                loss += redundancy_weight * correlation**2
    return loss


class BarlowTwinsTest(TestCase):
    @pytest.mark.parametrize("weight", [0.0, 0.005, 1.0])
    def test_golden_values(self, weight):
        z1, z2 = loss_checks.arrays(2)
        loss = barlow_twins(z1, z2, redundancy_weight=weight)
        self.assert_close(loss, reference(z1, z2, weight), rtol=1e-9)

    def test_decorrelated_equal_views_cost_nothing(self):
        z = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * 100.0
        self.assert_close(barlow_twins(z, z, redundancy_weight=1.0), 0, atol=1e-8)
        assert float(barlow_twins(z, -z, redundancy_weight=1.0)) > 7.9

    def test_invariances(self):
        z1, z2 = loss_checks.arrays(2)
        loss = barlow_twins(z1, z2, redundancy_weight=0.1)
        order = np.random.default_rng(1).permutation(len(z1))
        for a, b in [
            (z1[order], z2[order]),
            (z2, z1),
            (z1 + 5, z2 - 3),
        ]:
            self.assert_close(barlow_twins(a, b, redundancy_weight=0.1), loss)
        # The 1e-5 beside the variance is all that scale changes.
        scaled = barlow_twins(3 * z1, 7 * z2, redundancy_weight=0.1)
        self.assert_close(scaled, loss, rtol=1e-4)
        shifted = barlow_twins(z1, np.roll(z2, 1, axis=0), redundancy_weight=0.1)
        assert abs(float(shifted - loss)) > 1e-3

    def test_gradients(self, float64):
        loss_checks.check_gradients(
            self,
            lambda a, b: barlow_twins(a, b, redundancy_weight=0.1),
            loss_checks.arrays(2),
        )

    def test_extremes_are_finite(self):
        loss_checks.assert_finite(BarlowTwins())

    def test_config(self):
        arguments = {"redundancy_weight": 0.1, "gather": True}
        self.run_config_test(BarlowTwins, arguments)

    def test_refuses(self):
        with pytest.raises(ValueError, match="`redundancy_weight` must be a finite"):
            BarlowTwins(-1.0)
