"""Callbacks that act after the first epoch, every so many and the last."""

from typing import Any

import keras
import numpy as np

from keras_tc2 import checks


class EveryFewEpochs(keras.callbacks.Callback):
    """Base class that knows whose turn it is.

    Args:
        every_epochs: int >= 1.
    """

    def __init__(self, every_epochs: int) -> None:
        super().__init__()
        self.every_epochs = checks.integer("every_epochs", every_epochs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts to count."""
        self._has_acted = False

    def is_due(self, epoch: int) -> bool:
        """Whether to act at the end of this epoch; asked once an epoch."""
        # The first of a run too: CSVLogger fixes its columns there.
        first, self._has_acted = not self._has_acted, True
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        return first or last or (epoch + 1) % self.every_epochs == 0


class LoggedMeasurement(EveryFewEpochs):
    """Base class of callbacks that put numbers into the logs, and NaN between.

    A subclass implements `measure()`, which returns `{name in the logs: value}`.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts without names."""
        super().on_train_begin(logs)
        self._names = ()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds what was measured to `logs`."""
        if self.is_due(epoch):
            measured = self.measure()
            self._names = tuple(measured)
        else:
            measured = dict.fromkeys(self._names, np.nan)
        if logs is not None:
            logs.update(measured)
