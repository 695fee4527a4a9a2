import time

import keras
import numpy as np

from keras_tc2.callbacks import StepTimer
from tests.test_case import TestCase


class StepTimerTest(TestCase):
    def test_seconds_of_every_step_of_the_latest_run(self):
        class Slow(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                time.sleep(0.05 * (batch == 2))

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        timer = StepTimer()
        x, y = np.ones((8, 2)), np.ones((8, 1))
        model.fit(x, y, batch_size=4, epochs=3, callbacks=[timer], verbose=0)
        assert len(timer.seconds) == 6
        start = time.perf_counter()
        model.fit(x, y, batch_size=2, callbacks=[Slow(), timer], verbose=0)
        assert len(timer.seconds) == 4
        assert 0.05 <= timer.seconds[2] <= sum(timer.seconds)
        assert sum(timer.seconds) < time.perf_counter() - start
