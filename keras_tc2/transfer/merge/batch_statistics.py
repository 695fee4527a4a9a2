"""The statistics of batch normalisation, which no mixture of weights gives."""

import contextlib
from typing import Any

import keras
import numpy as np

from keras_tc2.annotations import Images
from keras_tc2.compat import all_layers
from keras_tc2.transfer.features.extraction import batched_images


def batch_normalizations(encoder):
    """The layers of an encoder that hold moving statistics, in order."""
    return [
        layer
        for layer in all_layers(encoder)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def statistics(encoder):
    """Ids of the variables of an encoder that are moving statistics."""
    return {
        id(variable)
        for layer in batch_normalizations(encoder)
        for variable in (layer.moving_mean, layer.moving_variance)
    }


def reestimate_batch_statistics(
    encoder: keras.Model, images: Images, *, batch_size: int = 256
) -> None:
    """Sets moving means and variances to those of given images, in place.

    Features of mixed weights have other moments than those of either encoder, and
    normalised by the old ones they collapse [1]. Images pass in training mode, batch
    after batch, each batch counting as it has images. The moments of a layer are those
    over all images, given that the layers before it normalise by their batch.

    Args:
        encoder: `keras.Model` from images to features. One without batch normalisation
            stays as it is.
        images: array `(N, H, W, C)`, or a `tf.data.Dataset` of images or of
            `(image, label)`, batched or not, as the encoder takes them; N >= 2.
        batch_size: int >= 1. Defaults to `256`.

    Raises:
        ValueError: if there are fewer than two images.

    References:
        - [1] Jordan et al., 2023, arXiv 2211.08403, REPAIR
    """
    layers = batch_normalizations(encoder)
    batches = batched_images(images, batch_size)
    number = 0
    sums: list[list[Any]] = [[0.0, 0.0] for _ in layers]
    with _taking_each_batch(layers):
        for batch in batches:
            batch = batch[0] if isinstance(batch, tuple) else batch
            encoder(batch, training=True)
            size = len(batch)
            number += size
            for i, layer in enumerate(layers):
                mean = np.asarray(layer.moving_mean, "float64")
                variance = np.asarray(layer.moving_variance, "float64")
                sums[i][0] += size * mean
                sums[i][1] += size * (variance + mean**2)
    if number < 2:
        raise ValueError(
            f"Batch statistics need at least two images. Received: {number}"
        )
    for layer, (first, second) in zip(layers, sums, strict=True):
        mean = first / number
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(second / number - mean**2, 0.0))


@contextlib.contextmanager
def _taking_each_batch(layers):
    """Within, the moving statistics of the layers are those of the last batch."""
    old = [(layer.momentum, layer.trainable) for layer in layers]
    for layer in layers:
        layer.momentum, layer.trainable = 0.0, True
    try:
        yield
    finally:
        for layer, (momentum, trainable) in zip(layers, old, strict=True):
            layer.momentum, layer.trainable = momentum, trainable
