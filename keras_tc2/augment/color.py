"""Brightness, contrast, saturation and hue, one factor for each image of a batch."""

import warnings

import tensorflow as tf

from keras_tc2.augment.per_image import clip_to_unit, over_pixels

LUMINANCE = (0.299, 0.587, 0.114)


def scale_brightness(images, factors):
    """Blends with black: clip(f x), as torchvision's `adjust_brightness`.

    Args:
        images: float32 in [0, 1], `(batch, height, width, channels)`.
        factors: float32 >= 0, `(batch,)`.

    Returns:
        Tensor of the same shape in [0, 1].
    """
    return tf.minimum(images * over_pixels(factors), 1.0)


def scale_contrast(images, factors):
    """Blends with the image's mean grey: clip(f x + (1 - f) mean).

    As torchvision's `adjust_contrast`: the mean is that of the luminance for three
    channels. For any other number of channels it is the mean over all of them.

    Args:
        images: float32 in [0, 1], `(batch, height, width, channels)`.
        factors: float32 >= 0, `(batch,)`.

    Returns:
        Tensor of the same shape in [0, 1].
    """
    channel_means = tf.reduce_mean(images, axis=(1, 2))
    if images.shape[-1] == 3:
        means = tf.linalg.matvec(channel_means, tf.constant(LUMINANCE))
    else:
        means = tf.reduce_mean(channel_means, axis=-1)
    blended = images * over_pixels(factors) + over_pixels((1.0 - factors) * means)
    return clip_to_unit(blended)


def scale_saturation(images, factors):
    """Blends each pixel with its luminance: clip(f x + (1 - f) grey).

    As torchvision's `adjust_saturation`; factor 0 gives the grey image, factor 1 the
    image itself, exactly.

    Args:
        images: float32 in [0, 1], `(batch, height, width, 3)`.
        factors: float32 >= 0, `(batch,)`.

    Returns:
        Tensor of the same shape in [0, 1].
    """
    factors = factors[:, None, None]
    to_grey = tf.constant([LUMINANCE] * 3)
    matrices = factors * tf.eye(3) + (1.0 - factors) * tf.transpose(to_grey)
    shape = tf.shape(images)
    pixels = tf.reshape(images, (shape[0], shape[1] * shape[2], 3))
    blended = tf.reshape(tf.matmul(pixels, matrices), shape)
    return clip_to_unit(blended)


def shift_hue(images, shifts):
    """Turns the hue by a share of the colour circle; keeps HSV saturation and value.

    The exact HSV rotation. The hue comes from the colour planes (two thirds of the
    time of `tf.image.rgb_to_hsv`), the way back from `tf.image.hsv_to_rgb`.

    Args:
        images: float32 in [0, 1], `(batch, height, width, 3)`.
        shifts: float32, `(batch,)`; 0.5 is the opposite colour, 1 the same.

    Returns:
        Tensor of the same shape in [0, 1].
    """
    red, green, blue = tf.unstack(images, axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    sextant = tf.where(
        tf.equal(value, red),
        green - blue,
        tf.where(
            tf.equal(value, green),
            2.0 * chroma + blue - red,
            4.0 * chroma + red - green,
        ),
    )
    hue = tf.math.divide_no_nan(sextant, 6.0 * chroma) + shifts[:, None, None]
    hue -= tf.floor(hue)
    saturation = tf.math.divide_no_nan(chroma, value)
    # Stacking planes and then turning is three times as fast as stacking pixels.
    hsv = tf.transpose(tf.stack([hue, saturation, value]), (1, 2, 3, 0))
    return tf.image.hsv_to_rgb(hsv)


def warn_skipped(operation, channels):
    """Warns, once a process for each message, that an operation needs colour."""
    warnings.warn(
        f"{operation} needs 3 channels and is skipped for images with {channels}.",
        stacklevel=2,
    )
