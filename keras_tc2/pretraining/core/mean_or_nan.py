"""A mean that does not pretend to be zero when nothing was measured."""

import math

import keras
from keras import ops


class MeanOrNaN(keras.metrics.Mean):
    """The mean of what was measured since the last reset; NaN if nothing was."""

    def result(self):
        """The mean, a scalar tensor."""
        nothing = ops.equal(self.count, 0)
        mean = ops.divide(self.total, ops.where(nothing, 1, self.count))
        return ops.where(nothing, math.nan, mean)
