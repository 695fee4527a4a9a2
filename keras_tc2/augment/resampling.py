"""Cutting a box out of every image of a batch, and resizing without aliasing."""

import tensorflow as tf

from keras_tc2.augment.separable import apply_separable

INTERPOLATIONS = ("bilinear", "bicubic")


def crop_and_resize(images, boxes, size, interpolation):
    """Samples one box of each image on a regular grid, with antialiasing.

    Output pixel i of an axis lies at `start + (i + 0.5) * extent / size - 0.5` in
    input pixels, so pixel centres correspond and a box may start between pixels. Where
    an axis of a box shrinks, its kernel is widened by `extent / size`, so that every
    input pixel counts. Both interpolations are separable: one matrix an axis and image.
    Neighbours beyond the box but inside the image count; beyond the image, weights are
    dropped and the rest normalised. This is Pillow's `Image.resize(size, resample,
    box)` in floats. torchvision crops first, at whole pixels, so that neighbours beyond
    the box do not count there; whole images come out the same.

    Args:
        images: float32 tensor `(batch, height, width, channels)`.
        boxes: float32 tensor `(batch, 4)`: top, left, height, width, in pixels.
        size: pair of ints, the height and width to return.
        interpolation: `"bilinear"` or `"bicubic"` (Keys, a = -0.5).

    Returns:
        Float32 tensor `(batch, *size, channels)`, clipped to [0, 1], which bicubic
        interpolation can overshoot.
    """
    _, height, width, _ = tf.unstack(tf.shape(images))
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    rows = _weights(top, box_height, height, size[0], interpolation)
    columns = _weights(left, box_width, width, size[1], interpolation)
    return apply_separable(images, rows, columns)


def resize(images, size):
    """Whole images of any range in another size, bilinear, with antialiasing.

    What `tf.image.resize(antialias=True)` gives, which XLA cannot compile.

    Args:
        images: float tensor `(batch, height, width, channels)`.
        size: pair of ints, the height and width to return.

    Returns:
        Tensor `(batch, *size, channels)` of the type of `images`.
    """
    for axis, equation in enumerate(("oh,bhwc->bowc", "ow,bhwc->bhoc")):
        length = tf.shape(images)[axis + 1]
        extent = tf.cast(length, tf.float32)[None]
        weights = _weights(tf.zeros(1), extent, length, size[axis], "bilinear")
        images = tf.einsum(equation, tf.cast(weights[0], images.dtype), images)
    return images


def _weights(start, extent, length, out_length, interpolation):
    """Matrices `(batch, out_length, length)` that resample one axis."""
    # Views shall be the same to the bit wherever they are made, and graphs are
    # optimised: a division by a constant becomes a product with its inverse, and
    # constants move to the front of sums.
    centres = (tf.range(out_length, dtype=tf.float32) + 0.5) / out_length
    positions = (start - 0.5)[:, None] + centres * extent[:, None]
    pixels = tf.range(tf.cast(length, tf.float32))[None]
    # Both in units of the kernel's width: no pass more over the matrices.
    width = tf.maximum(extent * (1.0 / out_length), 1.0)[:, None]
    distances = tf.abs((positions / width)[:, :, None] - (pixels / width)[:, None, :])
    kernel = _bicubic if interpolation == "bicubic" else _bilinear
    weights = kernel(distances)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def _bilinear(distances):
    return tf.nn.relu(1.0 - distances)


def _bicubic(distances):
    """Keys (1981), a = -0.5."""
    near = (1.5 * distances - 2.5) * distances * distances + 1.0
    far = ((2.5 - 0.5 * distances) * distances - 4.0) * distances + 2.0
    return tf.where(
        distances < 1.0, near, tf.where(distances < 2.0, far, tf.zeros_like(far))
    )
