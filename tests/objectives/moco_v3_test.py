import numpy as np
import pytest

from keras_tc2.objectives import MoCoV3, moco_v3
from tests.objectives import loss_checks
from tests.test_case import TestCase


def reference(q1, q2, k1, k2, temperature):
    """Algorithm 1."""
    loss = 0
    for q, k in ((q1, k2), (q2, k1)):
        log_shares = loss_checks.log_softmax(loss_checks.cosines(q, k) / temperature)
        loss += -np.mean(np.diag(log_shares)) * 2 * temperature
    return loss


class MoCoV3Test(TestCase):
    @pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
    def test_golden_values(self, temperature):
        values = loss_checks.arrays(4)
        loss = moco_v3(*values, temperature=temperature)
        self.assert_close(loss, reference(*values, temperature), rtol=1e-9)

    def test_equal_keys(self):
        q, k = loss_checks.arrays(1, batch=4)[0], np.ones((4, 5))
        self.assert_close(moco_v3(q, q, k, k, temperature=0.5), 2 * np.log(4))

    def test_invariances(self):
        q1, q2, k1, k2 = loss_checks.arrays(4)
        loss = moco_v3(q1, q2, k1, k2, temperature=0.2)
        order = np.random.default_rng(1).permutation(len(q1))
        for values in [
            [x[order] for x in (q1, q2, k1, k2)],
            [q2, q1, k2, k1],
            [2 * q1, 3 * q2, 4 * k1, 5 * k2],
        ]:
            self.assert_close(moco_v3(*values, temperature=0.2), loss)
        crossed = moco_v3(q1, q2, k2, k1, temperature=0.2)
        assert abs(float(crossed - loss)) > 1e-3

    def test_gradients(self, float64):
        q1, q2, k1, k2 = loss_checks.arrays(4)
        loss_checks.check_gradients(
            self, lambda a, b: moco_v3(a, b, k1, k2, temperature=0.2), [q1, q2]
        )
        loss_checks.assert_no_gradient(
            lambda a, b: moco_v3(q1, q2, a, b, temperature=0.2), [k1, k2]
        )

    def test_extremes_are_finite(self):
        loss_checks.assert_finite(MoCoV3(0.01), num_targets=2)

    def test_predictor(self):
        head = MoCoV3().make_head(4, (8, 8, 1))
        assert (head.output_dim, head.hidden_dim, head.num_layers) == (4, 64, 2)

    def test_config(self):
        arguments = {
            "temperature": 0.5,
            "hidden_dim": 3,
            "batch_normalization": False,
            "momentum": 0.5,
            "gather": True,
        }
        self.run_config_test(MoCoV3, arguments)

    def test_refuses(self):
        with pytest.raises(ValueError, match="`temperature` must be a finite"):
            MoCoV3(0)
