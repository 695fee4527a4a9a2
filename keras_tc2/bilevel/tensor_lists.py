"""Lists of tensors as one vector: what gradients and weights are to a solver."""

import tensorflow as tf


def tensors_of(variables):
    """The current values of tensors or Keras variables."""
    return [tf.convert_to_tensor(getattr(v, "value", v)) for v in variables]


def dot(a, b):
    """⟨a, b⟩ over lists of tensors, a scalar."""
    return tf.add_n([tf.reduce_sum(x * y) for x, y in zip(a, b, strict=True)])


def norm(a):
    """‖a‖ over a list of tensors, a scalar."""
    return tf.sqrt(dot(a, a))


def combine(a, scale, b):
    """a + scale · b over lists of tensors."""
    return [x + scale * y for x, y in zip(a, b, strict=True)]
