"""Random masks of square patches, as functions of a seed."""

import math

import tensorflow as tf
from keras import ops

from keras_tc2.replicas import num_replicas


def patch_masks(batch_size, image_shape, *, patch_size, mask_ratio, seed, dtype):
    """Masks that hide the same number of random patches of every image.

    Under a `tf.distribute` strategy the masks of the global batch are drawn, and
    each replica takes its own part: replicas see what one device would.

    Args:
        batch_size: int, images on this replica.
        image_shape: (height, width, channels).
        patch_size: int. Side of the patches.
        mask_ratio: float in (0, 1). Share of the patches that is hidden; rounded to
            a number of patches, with at least one hidden and one left.
        seed: int tensor `(2,)`. The same seed gives the same masks.
        dtype: float dtype of the result.

    Returns:
        Tensor `(batch, height, width, 1)`: 1 where a pixel is hidden, else 0.
    """
    height, width = image_shape[:2]
    rows, columns = math.ceil(height / patch_size), math.ceil(width / patch_size)
    num_hidden = round(mask_ratio * rows * columns)
    num_hidden = min(max(num_hidden, 1), rows * columns - 1)
    noise = tf.random.stateless_uniform(
        (num_replicas() * batch_size, rows * columns), seed=seed
    )
    if num_replicas() > 1:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        noise = tf.slice(noise, (replica * batch_size, 0), (batch_size, rows * columns))
    ranks = ops.argsort(ops.argsort(noise, axis=-1), axis=-1)
    hidden = ops.reshape(
        ops.cast(ranks < num_hidden, dtype), (batch_size, rows, columns, 1)
    )
    hidden = ops.repeat(hidden, patch_size, axis=1)
    return ops.repeat(hidden, patch_size, axis=2)[:, :height, :width]
