import numpy as np
import pytest

from keras_tc2.transfer import merge
from tests.test_case import TestCase
from tests.transfer.merge import networks


class TaskArithmeticTest(TestCase):
    def test_equals_numpy(self):
        base = networks.encoder()
        encoders = [networks.tuned(base, seed) for seed in (1, 2)]
        start = base.get_weights()
        first, second = (encoder.get_weights() for encoder in encoders)
        trained = networks.trained_weights(base)
        for scaling, (a, b) in ((0.4, (0.4, 0.4)), ([-1.0, 0.5], (-1.0, 0.5))):
            merged = merge.task_arithmetic(base, encoders, scaling=scaling)
            for i, value in enumerate(merged.get_weights()):
                expected = (first[i] + second[i]) / 2
                if i in trained:
                    expected = (
                        start[i]
                        + a * (first[i] - start[i])
                        + b * (second[i] - start[i])
                    )
                self.assert_close(value, expected, rtol=1e-5)

    def test_equal_shares_are_the_average(self):
        base = networks.encoder()
        encoders = [networks.tuned(base, seed) for seed in (1, 2)]
        images = networks.images()
        merged = merge.task_arithmetic(base, encoders, scaling=0.5, images=images)
        expected = merge.average(encoders, images=images)
        for a, b in zip(merged.get_weights(), expected.get_weights(), strict=True):
            self.assert_close(a, b, rtol=1e-5)

    def test_one_encoder_can_be_forgotten(self):
        base = networks.encoder()
        other = networks.tuned(base, 1)
        forgotten = merge.task_arithmetic(base, [other], scaling=-1.0)
        i = networks.trained_weights(base)[0]
        expected = 2 * base.get_weights()[i] - other.get_weights()[i]
        self.assert_close(forgotten.get_weights()[i], expected, rtol=1e-5)

    def test_errors(self):
        base = networks.encoder()
        for scaling in ([0.5], [0.5, 0.5, 0.5], np.inf, "half"):
            with pytest.raises(ValueError, match=r"scaling.*each of the 2"):
                merge.task_arithmetic(
                    base, [networks.tuned(base, s) for s in (1, 2)], scaling=scaling
                )
