"""The labelled images that a method of merging learns from."""

import numpy as np
import tensorflow as tf

from keras_tc2 import data
from keras_tc2.transfer.features.labelled_features import checked_labels


def labelled_arrays(name, pairs):
    """Images, class numbers from zero, and the number of classes.

    Args:
        name: str, what messages call them.
        pairs: `(images, labels)` arrays, or an unbatched `tf.data.Dataset` of
            `(image, label)`.

    Raises:
        ValueError: if labels are missing, not as many as images, or of one class.
    """
    if isinstance(pairs, tf.data.Dataset):
        if not isinstance(pairs.element_spec, tuple):
            raise ValueError(
                f"Labels of {name} are missing: give a dataset of (image, label)."
            )
        pairs = data.as_arrays(pairs)
    if not isinstance(pairs, tuple | list) or len(pairs) != 2 or pairs[1] is None:
        raise ValueError(
            f"Labels of {name} are missing: give `(images, labels)` or a dataset of "
            f"(image, label). Received: {type(pairs).__name__}"
        )
    images, labels = (np.asarray(array) for array in pairs)
    if images.ndim != 4 or labels.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"{name} must be images (N, H, W, C) and one label for each. Received "
            f"shapes {images.shape} and {labels.shape}."
        )
    labels = checked_labels(labels, len(images), name=f"labels of {name.strip('`')}")
    classes, ids = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"{name} must be of at least two classes. Received: {list(classes)}"
        )
    return images, ids, len(classes)
