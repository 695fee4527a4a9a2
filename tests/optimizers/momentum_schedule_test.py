import numpy as np
import pytest

from keras_tc2.optimizers import MomentumSchedule
from tests.test_case import TestCase


class MomentumScheduleTest(TestCase):
    def test_cosine_from_start_to_one(self):
        schedule = MomentumSchedule(0.9, 100)
        for step in (0, 1, 25, 50, 99, 100):
            expected = 1 - 0.1 * (np.cos(np.pi * step / 100) + 1) / 2
            self.assert_close(schedule(step), expected)
        self.assert_close([schedule(0), schedule(50)], [0.9, 0.95])
        self.assert_close([schedule(100), schedule(1000)], [1, 1])

    def test_another_end(self):
        schedule = MomentumSchedule(0.5, 10, end=0.7)
        self.assert_close([schedule(0), schedule(5), schedule(11)], [0.5, 0.6, 0.7])

    def test_config(self):
        arguments = {"start": 0.5, "num_steps": 10, "end": 0.9}
        self.run_config_test(MomentumSchedule, arguments)

    @pytest.mark.parametrize(
        "arguments", [{"start": 1.1}, {"num_steps": 0}, {"end": -0.1}]
    )
    def test_refuses(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            MomentumSchedule(**{"start": 0.9, "num_steps": 10, **arguments})
