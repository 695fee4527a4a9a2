"""Which batch of which epoch each step of a run gets, whatever was taken or skipped."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class StepOrder:
    """The batches of one pass over a dataset, and of the passes after it.

    Args:
        length: int, steps of a pass, or `math.inf`.
        epochs: int, epochs that a pass begins, or `math.inf`.
        run: function from the step of a pass, an int64 scalar tensor, to the epoch,
            counted from the first of the pass, the batch, and how many batches follow
            in a row within the epoch and the pass, itself included; int64 scalars.
    """

    length: int | float
    epochs: int | float
    run: Callable[[Any], Any]

    def __bool__(self):
        """Whether there is a step."""
        return self.length > 0

    @classmethod
    def of_epochs(cls, num_batches):
        """Each pass is one epoch of so many batches."""
        return cls(num_batches, 1, lambda step: (0, step, num_batches - step))

    def take(self, count):
        """The first `count` steps of each pass; all for -1."""
        if count < 0 or count >= self.length:
            return self

        def run(step):
            epoch, batch, in_a_row = self.run(step)
            return epoch, batch, tf.minimum(_int(in_a_row), count - step)

        return StepOrder(count, self._epochs_of(count), run)

    def skip(self, count):
        """Without the first `count` steps of each pass; without all for -1."""
        if count < 0 or count >= self.length:
            return dataclasses.replace(self, length=0)
        return StepOrder(
            self.length - count, self.epochs, lambda step: self.run(step + count)
        )

    def repeat(self, count=None):
        """Passes of `count` passes, or one without an end for `None` and -1."""
        if not self or self.length == math.inf:
            return self
        count = math.inf if count is None or count < 0 else count

        def run(step):
            epoch, batch, in_a_row = self.run(step % self.length)
            return step // self.length * self.epochs + epoch, batch, in_a_row

        return StepOrder(self.length * count, self.epochs * count, run)

    def _epochs_of(self, count):
        """How many epochs the first `count` steps of a pass begin."""
        if count == 0:
            return 0
        last, _, _ = self.run(tf.constant(count - 1, tf.int64))
        return int(last) + 1

    def runs_from(self, step):
        """Dataset of `(epoch, batch, batches in a row)` from a step on, endless."""
        endless = self.repeat()

        def next_run(step, _):
            epoch, batch, in_a_row = (_int(x) for x in endless.run(step))
            return step + in_a_row, (epoch, batch, in_a_row)

        return tf.data.Dataset.counter(dtype=tf.int64).scan(
            tf.constant(step, tf.int64), next_run
        )


def _int(x):
    return tf.cast(x, tf.int64)
