import numpy as np
import pytest

from keras_tc2.objectives import DCL, dcl
from tests.objectives import loss_checks
from tests.test_case import TestCase


def reference(z1, z2, temperature, sigma=None):
    """Equations 6 and 7, image by image."""
    n, views, losses = len(z1), (z1, z2), []
    positives = np.diag(loss_checks.cosines(z1, z2))
    weights = np.ones(n)
    if sigma is not None:
        exponentials = np.exp(positives / sigma)
        weights = 2 - exponentials / exponentials.mean()
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for anchor in views:
            negatives = np.concatenate(
                [
                    loss_checks.cosines(anchor[i : i + 1], view[others])[0]
                    for view in views
                ]
            )
            shift = negatives.max() / temperature
            log_sum = shift + np.log(np.sum(np.exp(negatives / temperature - shift)))
            losses.append(log_sum - weights[i] * positives[i] / temperature)
    return np.mean(losses)


class DCLTest(TestCase):
    @pytest.mark.parametrize("sigma", [None, 0.5])
    @pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
    def test_golden_values(self, temperature, sigma):
        z1, z2 = loss_checks.arrays(2)
        loss = dcl(z1, z2, temperature=temperature, sigma=sigma)
        self.assert_close(loss, reference(z1, z2, temperature, sigma), rtol=1e-9)

    def test_equal_embeddings(self):
        z = np.ones((4, 3))
        self.assert_close(dcl(z, z, temperature=0.5), np.log(6))

    def test_invariances(self):
        z1, z2 = loss_checks.arrays(2)
        for sigma in (None, 0.5):
            arguments = {"temperature": 0.2, "sigma": sigma}
            loss = dcl(z1, z2, **arguments)
            order = np.random.default_rng(1).permutation(len(z1))
            self.assert_close(dcl(z1[order], z2[order], **arguments), loss)
            self.assert_close(dcl(z2, z1, **arguments), loss)
            self.assert_close(dcl(3 * z1, 7 * z2, **arguments), loss)
            shifted = np.roll(z2, 1, axis=0)
            assert abs(float(dcl(z1, shifted, **arguments) - loss)) > 1e-3

    @pytest.mark.parametrize("sigma", [None, 0.5])
    def test_gradients(self, float64, sigma):
        loss_checks.check_gradients(
            self,
            lambda a, b: dcl(a, b, temperature=0.2, sigma=sigma),
            loss_checks.arrays(2),
        )

    @pytest.mark.parametrize("sigma", [None, 0.5])
    def test_extremes_are_finite(self, sigma):
        loss_checks.assert_finite(DCL(0.01, sigma=sigma))

    def test_config(self):
        self.run_config_test(DCL, {"temperature": 0.5, "sigma": 0.3, "gather": True})

    @pytest.mark.parametrize("name", ["temperature", "sigma"])
    def test_refuses(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be a finite number > 0"):
            DCL(**{name: 0.0})
