"""How long the steps of a training take."""

import time
from typing import Any

import keras


class StepTimer(keras.callbacks.Callback):
    """Times every training step.

    The first step of a run compiles: take the median.

    Attributes:
        seconds: list of float, one a step of the latest run.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    timer = keras_tc2.callbacks.StepTimer()
    model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, callbacks=[timer])
    print(np.median(timer.seconds))
    ```
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the list."""
        self.seconds: list[float] = []

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Stops the clock."""
        self.seconds.append(time.perf_counter() - self._start)
