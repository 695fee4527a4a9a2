"""Mean and variance whose derivatives are right to every order."""

import contextlib
import contextvars

import tensorflow as tf
from keras import ops

_is_local = contextvars.ContextVar("is_local", default=False)


@contextlib.contextmanager
def local_statistics():
    """Within it, `synchronized` moments are those of their own replica.

    Tasks are local to their replica, so the passes of an inner step take part in no
    communication. It holds for the thread it is entered in, and so for one replica.
    """
    token = _is_local.set(True)
    try:
        yield
    finally:
        _is_local.reset(token)


def exact_moments(x, axes, *, keepdims=False, mask=None, synchronized=False):
    """Mean and (biased) variance of `x`, exactly differentiable any number of times.

    `tf.nn.moments`, and with it `keras.ops.moments`, stops the gradient at the mean
    inside the variance. The first derivative is still right, since the stopped term
    is zero; the derivative of that term is not zero, so every second derivative is
    silently wrong. Here variance = mean((x - mean(x))^2), with nothing stopped.

    Args:
        x: float tensor of any shape, float32 or float64.
        axes: list of ints. The axes to average over.
        keepdims: bool. Whether the averaged axes stay, with length 1.
        mask: bool tensor that broadcasts to `x`, or `None`. Only the elements where
            it is `True` count. Where it is `False` throughout, both moments are 0.
        synchronized: bool. Whether to average over the replicas of a
            `tf.distribute` strategy too; not within `local_statistics`.

    Returns:
        `(mean, variance)`, each of the shape of `x` without `axes` (or with length 1
        there).
    """
    synchronized = synchronized and not _is_local.get()
    replicas = tf.distribute.get_replica_context() if synchronized else None
    if mask is None and replicas is None:
        mean = ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=axes, keepdims=True)
    else:
        mean, variance = _weighted_moments(x, axes, mask, replicas)
    if keepdims:
        return mean, variance
    return ops.squeeze(mean, axis=axes), ops.squeeze(variance, axis=axes)


def _weighted_moments(x, axes, mask, replicas):
    if mask is None:
        mask = ops.ones_like(x, dtype="bool")
    mask = ops.broadcast_to(mask, ops.shape(x))

    def total(values):
        values = ops.sum(ops.where(mask, values, 0), axis=axes, keepdims=True)
        if replicas is None:
            return values
        # Its gradient is again a sum over the replicas, so it can be differentiated
        # as often as needed.
        return replicas.all_reduce(tf.distribute.ReduceOp.SUM, values)

    count = ops.maximum(total(ops.ones_like(x)), 1)
    mean = total(x) / count
    return mean, total(ops.square(x - mean)) / count
