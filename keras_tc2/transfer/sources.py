"""What a user may name as a downstream dataset, turned into `(image, label)` pairs."""

import numpy as np
import tensorflow as tf

from keras_tc2 import data


def named_sources(datasets):
    """Returns `{name: source}` for whatever `evaluate` was given as `datasets`.

    Args:
        datasets: a name; a list of names and of `(name, source)` pairs; or a dict from
            name to source.

    Raises:
        ValueError: if there are none, or two have the same name.
    """
    if isinstance(datasets, str):
        datasets = [datasets]
    pairs = (
        list(datasets.items())
        if isinstance(datasets, dict)
        else [(item, item) if isinstance(item, str) else item for item in datasets]
    )
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(
                "`datasets` must hold names, or pairs of a name and "
                "`((x_train, y_train), (x_test, y_test))`. Received an item of type "
                f"{type(pair).__name__} and length {len(pair)} without a name."
            )
    names = [name for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`datasets` must hold at least one dataset, each under its own name. "
            f"Received: {names}"
        )
    return dict(pairs)


def train_and_test(name, source, data_dir):
    """The two splits of one source.

    Args:
        name: str, for messages.
        source: a dataset that `keras_tc2.data.load` knows, with splits `"train"` and
            `"test"`; a pair of split names of the dataset `name`; or a pair
            `(train, test)` of `(images, labels)` arrays, or of unbatched datasets of
            `(image, label)`.
        data_dir: folder of prepared datasets, or None.

    Returns:
        Two items, each an unbatched `tf.data.Dataset` of `(image, label)` or, where
        the arrays are features already, a pair of arrays `(N, D)` and `(N,)`.
    """
    if isinstance(source, str):
        return tuple(
            data.load(source, split, labels=True, data_dir=data_dir)
            for split in ("train", "test")
        )
    if len(source) != 2:
        raise ValueError(
            f"Dataset {name!r} must be a pair (train, test). Received {len(source)} "
            "items."
        )
    return tuple(_split(name, part, data_dir) for part in source)


def _split(name, part, data_dir):
    if isinstance(part, str):
        return data.load(name, part, labels=True, data_dir=data_dir)
    if isinstance(part, tf.data.Dataset):
        if not isinstance(part.element_spec, tuple) or len(part.element_spec) != 2:
            raise ValueError(
                f"Dataset {name!r} must yield (image, label). Received elements "
                f"{part.element_spec}."
            )
        return part
    images, labels = (np.asarray(array) for array in part)
    if len(images) != len(labels) or images.ndim not in (2, 3, 4):
        raise ValueError(
            f"Dataset {name!r} must hold images (N, H, W, C), or features (N, D), and "
            f"as many labels. Received shapes {images.shape} and {labels.shape}."
        )
    if images.ndim == 2:
        return images, labels
    if images.ndim == 3:
        images = images[..., None]
    return tf.data.Dataset.from_tensor_slices((images, labels))
