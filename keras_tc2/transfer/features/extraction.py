"""Features of many images: the encoder in inference mode, batch after batch."""

import functools
import os

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks, data, encoders
from keras_tc2.annotations import Array, Images, PathLike
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.encoders.encoder import value_check
from keras_tc2.pretraining.core.pretrainer import Pretrainer


def extract_features(
    encoder: keras.Model | PathLike,
    images: Images,
    *,
    batch_size: int = 256,
    verbose: int = 0,
) -> Array:
    """Encodes every image, in order, the last partial batch included.

    Args:
        encoder: any `keras.Model` that maps images `(B, H, W, C)`, as they come, to
            features `(B, D)`, which runs in inference mode; or the folder or Hub
            repository of a saved encoder.
        images: array `(N, H, W, C)`, or a `tf.data.Dataset` of images or of
            `(image, label)`, batched or not. Labels are ignored.
        batch_size: int >= 1. Images encoded at once; a dataset that is batched
            already keeps its batches. Defaults to `256`.
        verbose: int. `1` shows a progress bar. Defaults to `0`.

    Returns:
        Float32 array `(N, D)`.

    Raises:
        ValueError: if there are no images, their rank is wrong, the dataset never
            ends, or the encoder's output is not `(B, D)`.

    Example:
    ```python
    import keras
    import numpy as np
    from keras_tc2 import transfer

    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    )
    transfer.extract_features(encoder, np.zeros((5, 8, 8, 1), "uint8")).shape
    ```
    """
    extractor = FeatureExtractor(resolved(encoder))
    return extractor(images, batch_size=batch_size, verbose=verbose)[0]


def resolved(encoder):
    """The encoder itself: loaded from a folder or the Hub, or taken of a pretrainer."""
    if isinstance(encoder, str | os.PathLike):
        return encoders.from_pretrained(encoder)
    return encoder.encoder if isinstance(encoder, Pretrainer) else encoder


class FeatureExtractor:
    """`extract_features` with its compiled function kept, for repeated use.

    Args:
        encoder: any `keras.Model` from images `(B, H, W, C)` to features `(B, D)`.

    Returns of a call:
        Features `(N, D)` as float32, and the labels that came with the images as an
        array `(N, ...)`, or None.
    """

    def __init__(self, encoder):
        if not callable(encoder):
            raise ValueError(
                "`encoder` must be a keras.Model from images to features. Received: "
                f"{encoder!r}"
            )
        self._check_values = value_check(encoder)
        # A partial, since TensorFlow warns of retracing when one piece of code is
        # traced for many encoders.
        self._encode = tf.function(
            functools.partial(encoder, training=False), reduce_retracing=True
        )

    @unwrapped()
    def __call__(self, images, *, batch_size, verbose=0):
        """Encodes every image, in order."""
        batches = batched_images(images, batch_size)
        total = int(batches.cardinality())
        bar = keras.utils.Progbar(total if total > 0 else None, verbose=verbose)
        features, labels = [], []
        for batch in batches.prefetch(tf.data.AUTOTUNE):
            if isinstance(batch, tuple):
                labels.append(batch[1].numpy())
                batch = batch[0]
            if not features:
                self._check_values(batch)
            output = self._encode(batch)
            if not tf.is_tensor(output) or output.shape.rank != 2:
                shape = getattr(output, "shape", None)
                raise ValueError(
                    "`encoder` must map images (B, H, W, C) to features (B, D). Its "
                    f"output has the shape {shape}: add global pooling or `Flatten`."
                )
            features.append(tf.cast(output, "float32").numpy())
            bar.add(1)
        if not features:
            raise ValueError("There are no images to extract features of.")
        labels = np.concatenate(labels) if labels else None
        return np.concatenate(features), labels


def batched_images(images, batch_size):
    """A dataset of batches `(B, H, W, C)`, or of such with labels, from any source."""
    checks.integer("batch_size", batch_size)
    images = image_dataset(images)
    return images if _rank(images) == 4 else images.batch(batch_size)


def image_dataset(images):
    """A finite dataset of images, or of such with labels, from any source."""
    if not isinstance(images, tf.data.Dataset):
        images = np.asarray(images)
        if images.ndim != 4:
            raise ValueError(
                "`images` must be an array (N, H, W, C) or a tf.data.Dataset. Received "
                f"an array of shape {images.shape}. Grey images need a last axis of 1."
            )
        return tf.data.Dataset.from_tensor_slices(images)
    if images.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("`images` repeats without end: remove its `.repeat()`.")
    if _rank(images) not in (3, 4):
        raise ValueError(
            "A dataset of images must hold images (H, W, C), or batches of them, alone "
            f"or as (image, label). Received elements {images.element_spec}."
        )
    return images


def in_one_order(dataset):
    """A dataset whose every pass has the same order, however it is shuffled.

    What `data.load` reads by number has; anything else is held in memory by its first
    pass, which must read all of it.
    """
    if getattr(dataset, "source", None) is not None:
        return dataset
    names = getattr(dataset, "class_names", None)
    return data.ImageDataset(dataset.cache(), class_names=names)


def _rank(dataset):
    spec = dataset.element_spec
    if isinstance(spec, tuple):
        spec = spec[0]
    return getattr(getattr(spec, "shape", None), "rank", None)
