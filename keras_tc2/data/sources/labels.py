"""Checks of labels that come with images."""

import numpy as np
import tensorflow as tf


def check_labels(labels, num_images):
    """Returns labels as an int64 array `(N,)`.

    Raises:
        ValueError: if they are not one integer for each image, if some are negative
            (the usual sign of a missing label), or if all are the same.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (num_images,):
        raise ValueError(
            "Labels must be one integer for each image. Received: shape "
            f"{labels.shape} for {num_images} images"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "Labels must be integers; number the classes from 0. Received: dtype "
            f"{labels.dtype}"
        )
    if labels.min() < 0:
        where = int(np.argmax(labels < 0))
        raise ValueError(
            "Labels must be >= 0; leave unlabelled images out. Received: label "
            f"{labels[where]} for image {where}"
        )
    _check_several_classes(labels)
    return labels.astype(np.int64)


def number_labels(labels, num_images, class_names):
    """Class numbers of labels that are numbers, perhaps as text, or else names.

    Numbers as text are names where `class_names` has them all. Text may be bytes in
    UTF-8, as HDF5 files and TensorFlow have it.

    Args:
        labels: list, array or other sequence of a label for each image.
        num_images: int.
        class_names: see `number_classes`. Numbers count in it.

    Returns:
        `(numbers, names)`: int64 `(N,)`, and the list of all names or `None`.

    Raises:
        ValueError: as `check_labels` and `number_classes`.
    """
    labels = np.asarray(labels)
    if labels.shape == (num_images,) and labels.dtype.kind in "UOS":
        texts = [tf.compat.as_str_any(label) for label in labels]
        are_names = class_names is not None and set(texts) <= set(class_names)
        if are_names or not all(map(_is_integer, texts)):
            return number_classes(texts, class_names), all_classes(texts, class_names)
        labels = np.array([int(text) for text in texts])
    numbers = check_labels(labels, num_images)
    if class_names is not None and numbers.max() >= len(class_names):
        raise ValueError(
            f"Every label must be below the number of `class_names`, "
            f"{len(class_names)}. Received: label {numbers.max()}"
        )
    return numbers, class_names and list(class_names)


def names_of_numbers(own, request):
    """What the class numbers of a source stand for.

    Args:
        own: list of str, as the source tells, or `None`.
        request: `Request`, whose `class_names` tell it of a source that does not.

    Returns:
        List of str, or `None`, as where no labels are asked for.

    Raises:
        ValueError: if both tell, and differ.
    """
    if not request.labels:
        return None
    told = request.class_names
    if own and told is not None and list(own) != list(told):
        raise ValueError(
            f"The source has class names of its own, {list(own)}: leave out "
            f"`class_names`. Received: class_names={list(told)}"
        )
    names = own or told
    return names and list(names)


def all_classes(names, class_names):
    """The list of all classes in the order of their numbers, see `number_classes`."""
    return sorted(set(names)) if class_names is None else list(class_names)


def number_classes(names, class_names):
    """The number of every name's class, int64 `(N,)`.

    Args:
        names: list of str, the class of each image.
        class_names: list of all classes in the order of their numbers, or `None`: the
            names that occur, sorted.

    Raises:
        ValueError: if a name is not in `class_names`, or if all are the same.
    """
    _check_several_classes(names)
    if class_names is None:
        return np.unique(names, return_inverse=True)[1].astype(np.int64)
    numbers = {name: number for number, name in enumerate(class_names)}
    unknown = sorted(set(names) - set(numbers))
    if unknown:
        raise ValueError(
            f"Every class must be in `class_names`, {list(class_names)}. Received: "
            f"{', '.join(map(repr, unknown[:10]))}"
        )
    return np.array([numbers[name] for name in names], np.int64)


def _is_integer(text):
    return text.strip().removeprefix("-").isdecimal()


def _check_several_classes(labels):
    """Raises `ValueError` if all labels are the same: nothing could be learnt."""
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise ValueError(
            f"Labelled data need at least two classes. Received: {len(labels)} images, "
            f"all of class {classes[0]!s}"
        )
