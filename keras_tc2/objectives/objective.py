"""The interface of a base self-supervised objective."""

import tensorflow as tf

from keras_tc2.precision import at_least_float32


class Objective:
    """Base class of the self-supervised losses that pretrainers minimise.

    A subclass implements `compute_loss(embeddings_1, embeddings_2)`, a thin call of
    a pure function, and `get_config`. It is a function of embeddings alone, so that
    a pretrainer can apply it to a whole batch or to one task, to plain embeddings or
    to calibrated ones, and differentiate it twice.

    Args:
        gather: bool. Whether negatives and batch statistics are global under a
            `tf.distribute` strategy: the embeddings of all replicas are gathered
            before the loss of the whole batch. Tasks stay local to their replica.
            Defaults to `False`.

    Call arguments:
        embeddings_1: float tensor `(batch, dim)`, projector output of view 1.
        embeddings_2: float tensor `(batch, dim)`, projector output of view 2.

    Returns:
        Scalar tensor, float32 (float64 for float64 embeddings).
    """

    def __init__(self, *, gather=False):
        self.gather = gather

    def __call__(self, embeddings_1, embeddings_2):
        """The loss of a whole batch, global over replicas if `gather`."""
        embeddings_1 = at_least_float32(embeddings_1)
        embeddings_2 = at_least_float32(embeddings_2)
        if self.gather:
            embeddings_1 = _all_gather(embeddings_1)
            embeddings_2 = _all_gather(embeddings_2)
        return self.compute_loss(embeddings_1, embeddings_2)

    def compute_loss(self, embeddings_1, embeddings_2):
        """The loss of the embeddings given, on this replica alone."""
        raise TypeError(
            f"{type(self).__name__} must override "
            "`compute_loss(embeddings_1, embeddings_2)`."
        )

    def get_config(self):
        """The constructor arguments, as `keras.saving` expects."""
        return {"gather": self.gather}

    @classmethod
    def from_config(cls, config):
        """The objective that `get_config` described."""
        return cls(**config)


def _all_gather(x):
    """Concatenates over replicas; its gradient sums the replicas' cotangents."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_gather(x, axis=0)
