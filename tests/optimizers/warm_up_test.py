import keras
import numpy as np

from tests.test_case import TestCase


class WarmUpTest(TestCase):
    """Keras's own schedule is the linear warm-up and cosine that SSL uses."""

    def test_against_the_formula(self):
        peak, warm_up, total = 0.6, 10, 50
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, total - warm_up, warmup_target=peak, warmup_steps=warm_up
        )
        for step in (0, 1, 9, 10, 11, 30, 49, 50, 60):
            if step < warm_up:
                expected = peak * step / warm_up
            else:
                share = min(1, (step - warm_up) / (total - warm_up))
                expected = peak * (1 + np.cos(np.pi * share)) / 2
            self.assert_close(schedule(step), expected)
