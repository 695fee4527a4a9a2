import itertools
import types

import keras
import numpy as np

from keras_tc2.callbacks import StepTimer, step_timer
from tests.test_case import TestCase


class StepTimerTest(TestCase):
    def test_seconds_of_every_step_of_the_latest_run(self, monkeypatch):
        # A clock that is read twice a step, and each time moves on by more.
        readings = (n**2 for n in itertools.count())
        clock = types.SimpleNamespace(perf_counter=lambda: next(readings))
        monkeypatch.setattr(step_timer, "time", clock)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        timer = StepTimer()
        x, y = np.ones((8, 2)), np.ones((8, 1))
        model.fit(x, y, batch_size=4, epochs=2, callbacks=[timer], verbose=0)
        assert timer.seconds == [1, 5, 9, 13]
        model.fit(x, y, batch_size=4, callbacks=[timer], verbose=0)
        assert timer.seconds == [17, 21]
