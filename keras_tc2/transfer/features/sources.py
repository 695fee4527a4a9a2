"""What a user may name as a downstream dataset, turned into `(image, label)` pairs."""

import pathlib

import numpy as np
import tensorflow as tf

from keras_tc2 import data
from keras_tc2.transfer.features.class_numbers import with_one_numbering
from keras_tc2.transfer.features.labelled_features import checked_labels


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


def train_and_test(name, sources, data_dir, channels):
    """The two splits of each source, classes that have names numbered alike in all.

    Args:
        name: str, the dataset that they are together, for messages.
        sources: dict from name to source: a dataset that `keras_tc2.data.load` knows,
            with splits `"train"` and `"test"`; a pair of split names of the dataset of
            that name; or a pair `(train, test)` of `(images, labels)` arrays, or of
            unbatched datasets of `(image, label)`. Labels of arrays may be names.
        data_dir: folder of prepared datasets, or None.
        channels: int or None. What image files are read as.

    Returns:
        Dict from name to two items, each an unbatched `tf.data.Dataset` of
        `(image, label)` or, where the arrays are features already, a pair of arrays
        `(N, D)` and `(N,)`.

    Raises:
        ValueError: if a source is none of these.
    """
    splits = [
        split
        for key, source in sources.items()
        for split in _splits(key, source, data_dir, channels)
    ]
    numbered = map(_as_dataset, with_one_numbering(name, splits))
    return {key: (next(numbered), next(numbered)) for key in sources}


def _splits(name, source, data_dir, channels):
    """Train and test, each as `_split` gives it."""
    if isinstance(source, str):
        source, name = ("train", "test"), source
    if not isinstance(source, tuple | list) or len(source) != 2 or _is_array(source[0]):
        raise ValueError(
            f"Dataset {name!r} must be a pair (train, test), such as "
            "`((x_train, y_train), (x_test, y_test))`; of images that are not divided, "
            f"keep some for the test. Received: {_described(source)}"
        )
    return [_split(name, part, data_dir, channels) for part in source]


def reads_files(name, source):
    """Whether a source is a folder or file, so that channels are a choice."""
    path = source if isinstance(source, str) else name
    is_name = isinstance(source, str) or isinstance(source[0], str)
    return is_name and pathlib.Path(path).expanduser().exists()


def _split(name, part, data_dir, channels):
    """A dataset of `(image, label)`, or a pair of arrays."""
    if isinstance(part, str):
        if not reads_files(name, (part,)):
            # What is not a file has channels of its own, which `adapt` converts.
            channels = None
        return data.load(name, part, labels=True, data_dir=data_dir, channels=channels)
    if isinstance(part, tf.data.Dataset):
        spec = part.element_spec
        if not isinstance(spec, tuple) or len(spec) != 2:
            raise ValueError(
                f"Dataset {name!r} must yield (image, label). Received elements {spec}."
            )
        if spec[1].dtype == tf.string:
            raise ValueError(
                f"Labels of dataset {name!r} are text: number the classes, say by a "
                "`tf.lookup.StaticHashTable`. Only arrays may have names as labels."
            )
        return part
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise ValueError(
            f"Each split of dataset {name!r} must be a pair of images (or features) "
            f"and labels, or a dataset of them. Received: {_described(part)}"
        )
    images, labels = (np.asarray(array) for array in part)
    if images.ndim not in (2, 3, 4) or labels.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"Dataset {name!r} must hold images (N, H, W, C), or features (N, D), and "
            f"as many labels. Received shapes {images.shape} and {labels.shape}."
        )
    return images, checked_labels(labels, len(images), name=f"labels of {name}")


def _as_dataset(split):
    """What a protocol reads: features stay arrays, images become a dataset."""
    if isinstance(split, tf.data.Dataset) or split[0].ndim == 2:
        return split
    images, labels = split
    if images.ndim == 3:
        images = images[..., None]
    return tf.data.Dataset.from_tensor_slices((images, labels))


def _is_array(value):
    return not isinstance(value, str | tuple | list | tf.data.Dataset)


def _described(value):
    """What came, for a message: type, and shapes or length."""
    if isinstance(value, tuple | list) and all(hasattr(x, "shape") for x in value):
        shapes = ", ".join(str(tuple(x.shape)) for x in value)
        return f"{type(value).__name__} of arrays of the shapes {shapes}"
    length = f" of {len(value)} items" if isinstance(value, tuple | list) else ""
    return type(value).__name__ + length
