"""Features of the same images by several encoders, each given what it takes."""

import tensorflow as tf

from keras_tc2.transfer.features.adapt import adapt, image_shape_of
from keras_tc2.transfer.features.extraction import (
    FeatureExtractor,
    image_dataset,
    in_one_order,
)
from keras_tc2.transfer.features.feature_cache import FeatureCache


def features_of_each(encoders, images, *, cache_dir, batch_size):
    """Encodes every image by every encoder, in inference mode.

    Images are resized, and turned from grey to colour or back, where an encoder takes
    another shape.

    Args:
        encoders: list of `keras.Model`s from images to features.
        images: array `(N, H, W, C)`, or an unbatched `tf.data.Dataset` of images or of
            `(image, label)`; all encoders see them in one order.
        cache_dir: path, or `None`. Where features are kept; see `FeatureCache`.
        batch_size: int >= 1.

    Returns:
        `(features, labels)`: list of float32 arrays `(N, D_m)`, and the labels that
        came with the images or `None`.

    Raises:
        ValueError: if the images are neither, or do not fit an encoder.
    """
    if isinstance(images, tf.data.Dataset) and len(encoders) > 1:
        images = in_one_order(images)
    pairs, has_labels = _pairs(images)
    features = []
    for encoder in encoders:
        extractor = FeatureExtractor(encoder)

        def extract(pairs, extractor=extractor):
            return extractor(pairs, batch_size=batch_size)

        if cache_dir is not None:
            extract = FeatureCache(cache_dir, extract=extract, encoder=encoder)
        fitted, _ = adapt(pairs, image_shape_of(encoder))
        found, labels = extract(fitted)
        features.append(found)
    return features, labels if has_labels else None


def _pairs(images):
    """An unbatched dataset of `(image, label)`, and whether labels were given."""
    images = image_dataset(images)
    if isinstance(images.element_spec, tuple):
        return images, True
    return images.map(lambda image: (image, 0)), False


def feature_dim_of(encoder):
    """Width of an encoder's features, or `ValueError`."""
    shape = getattr(encoder, "output_shape", None)
    width = getattr(encoder, "feature_dim", None)
    if width is None and isinstance(shape, tuple) and len(shape) == 2:
        width = shape[-1]
    if width is None:
        raise ValueError(
            "Every encoder must be a keras.Model from images to features (batch, dim), "
            "or the folder or Hub repository of one. Received: "
            f"{encoder!r} with output shape {shape}"
        )
    return width
