"""Draws and choices that differ from image to image of one batch, and the clip."""

import tensorflow as tf


def draw_uniform(images, seed, low, high):
    """One number in [low, high) for each image: float32 `(batch,)`."""
    return tf.random.stateless_uniform((tf.shape(images)[0],), seed, low, high)


def draw_events(images, seed, probability):
    """Whether an event of the given probability happens: bool `(batch,)`."""
    return draw_uniform(images, seed, 0.0, 1.0) < probability


def over_pixels(values):
    """Numbers `(batch,)` as `(batch, 1, 1, 1)`, to broadcast over images."""
    return values[:, None, None, None]


def clip_to_unit(images):
    """Clips to [0, 1] in one pass; `tf.clip_by_value` makes two."""
    return tf.raw_ops.ClipByValue(t=images, clip_value_min=0.0, clip_value_max=1.0)


def transform_groups(images, groups, transformations):
    """Gives the images of group g to `transformations[g]`, and keeps their places.

    Only the images of a group pass through its transformation; the others cost a copy.

    Args:
        images: float tensor `(batch, height, width, channels)`.
        groups: int32 tensor `(batch,)`, the group of every image.
        transformations: list, one function a group, from its images and their
            indices `(n,)` in the batch to images of the same shape. A group may be
            empty.

    Returns:
        Tensor of the shape of `images`.
    """
    indices = tf.dynamic_partition(
        tf.range(tf.shape(images)[0]), groups, len(transformations)
    )
    parts = [
        transform(tf.gather(images, where), where)
        for transform, where in zip(transformations, indices, strict=True)
    ]
    return tf.ensure_shape(tf.dynamic_stitch(indices, parts), images.shape)


def transform_some(images, chosen, transform):
    """Applies `transform(images, indices)` to the chosen images; others stay exact."""
    return transform_groups(
        images, tf.cast(chosen, tf.int32), [lambda same, _: same, transform]
    )
