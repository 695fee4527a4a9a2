"""Epochs: orders that are functions of the seed and the number of the epoch."""

import threading

import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.data.reading.python_calls import numpy_function


class EpochCounter:
    """The number of the epoch that comes next.

    The order of the images and the randomness of their views are functions of the
    seed, the epoch and the batch alone. A dataset of views takes its epoch from such
    a counter when an iterator gives its first batch, and moves it on by one. `fit` may
    open one more iterator before training, to build the model; whoever needs the
    epochs of `fit` and of the data to be the same, as when an interrupted run is
    continued, sets `epoch` at the beginning of every epoch.

    Args:
        epoch: int >= 0. The number of the first epoch. Also a property that can be
            set.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import data

    images = np.random.randint(0, 256, (64, 8, 8, 3), "uint8")
    counter = data.EpochCounter()
    views = data.two_views(images, batch_size=16, epoch_counter=counter)
    first = next(iter(views))[0]
    counter.epoch = 0
    np.testing.assert_array_equal(first, next(iter(views))[0])
    ```
    """

    def __init__(self, epoch: int = 0) -> None:
        self._lock = threading.Lock()
        self.epoch = epoch

    @property
    def epoch(self) -> int:
        """The number of the epoch that the next iterator gives."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = checks.integer("epoch", epoch, at_least=0)

    def advance(self) -> np.int64:
        """Returns the epoch as int64, and moves on to the next."""
        with self._lock:
            epoch = self._epoch
            self._epoch += 1
        return np.int64(epoch)


def each_epoch(counter, epoch_dataset):
    """Dataset whose every iterator is the next epoch.

    Args:
        counter: `EpochCounter`.
        epoch_dataset: function from the epoch, an int64 scalar tensor, to a dataset.
    """

    def next_epoch(_):
        epoch = numpy_function(counter.advance, [], tf.int64)
        return tf.ensure_shape(epoch, ())

    return tf.data.Dataset.from_tensors(0).map(next_epoch).flat_map(epoch_dataset)


def shuffled(dataset, buffer_size, seed):
    """A dataset in an order drawn from `seed` `(2,)`, through a buffer.

    For functions of datasets alone: outside of one it would set TensorFlow's global
    seed, on which the order must not depend.

    Args:
        dataset: `tf.data.Dataset`.
        buffer_size: int >= 1.
        seed: int tensor `(2,)`.
    """
    if tf.executing_eagerly():
        raise RuntimeError("Shuffle within a function of a dataset: see `each_epoch`.")
    tf.compat.v1.set_random_seed(1)
    return dataset.shuffle(
        buffer_size,
        seed=tf.random.stateless_uniform((), seed, None, None, tf.int64),
        reshuffle_each_iteration=False,
    )


def shuffled_epochs(dataset, buffer_size, *, seed):
    """Dataset whose n-th iterator has an order drawn from `seed` and n alone.

    What `Dataset.shuffle(seed=...)` gives hangs on TensorFlow's global seed too.

    Args:
        dataset: `tf.data.Dataset`.
        buffer_size: int >= 1.
        seed: int >= 0.
    """
    epochs = each_epoch(
        EpochCounter(),
        lambda epoch: shuffled(dataset, buffer_size, fold_seed(seed, epoch)),
    )
    size = dataset.cardinality()
    if size == tf.data.UNKNOWN_CARDINALITY:
        return epochs
    return epochs.apply(tf.data.experimental.assert_cardinality(size))


def fold_seed(seed, *numbers):
    """A seed `(2,)` of its own for every combination of `seed` and `numbers`."""
    folded = tf.constant([seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF], tf.int32)
    for number in numbers:
        folded = fold_in(folded, number)
    return folded


def fold_in(seed, number):
    """A seed `(2,)` of its own for every combination of a seed `(2,)` and a number."""
    return tf.random.fold_in(seed, tf.cast(number, tf.int32))


def permutation(size, seed):
    """The numbers below `size` in an order drawn from `seed` `(2,)`; int64."""
    numbers = tf.range(size, dtype=tf.int64)
    return tf.random.experimental.stateless_shuffle(numbers, seed)
