"""Numbers of classes that stand for the same names in several splits."""

import itertools

import numpy as np
import tensorflow as tf

from keras_tc2 import data


def with_one_numbering(name, splits):
    """The splits, with classes that have names numbered alike in all of them.

    Names are labels that are text, or the `class_names` of an `ImageDataset`. Where
    these differ, the first split keeps its numbers and names that it lacks come after.

    Args:
        name: str, what they are together, for messages.
        splits: list of unbatched datasets of `(image, label)`, and of pairs of arrays
            of images (or features) and labels `(N,)`.

    Returns:
        List of the same kinds, without text as labels.

    Raises:
        ValueError: if labels are text in some splits alone, or names differ and a split
            has none.
    """
    known = [_names(split) for split in splits]
    named = {tuple(names) for names in known if names is not None}
    has_text = any(_is_text(split) for split in splits)
    if len(named) < 2 and not has_text:
        return list(splits)
    if None in known:
        raise ValueError(
            f"{name!r} has names as labels in one split and numbers in the other: give "
            "both the same."
            if has_text
            else f"The `class_names` differ between splits of {name!r}, and one has "
            "none: say by `data.load(..., class_names=)` what its numbers stand for."
        )
    every = dict.fromkeys(itertools.chain.from_iterable(known))
    numbers = {label: number for number, label in enumerate(every)}
    return [
        _renumbered(split, names, numbers)
        for split, names in zip(splits, known, strict=True)
    ]


def _is_text(split):
    return isinstance(split, tuple) and split[1].dtype.kind == "U"


def _names(split):
    """The classes of a split, or `None` where they have no names."""
    if _is_text(split):
        return [str(label) for label in np.unique(split[1])]
    names = getattr(split, "class_names", None)
    return None if names is None else list(names)


def _renumbered(split, names, numbers):
    """The split with classes `names` as `numbers`, a dict from names, has them."""
    if _is_text(split):
        images, labels = split
        return images, np.array([numbers[str(label)] for label in labels])
    every, new = list(numbers), [numbers[label] for label in names]
    if new == list(range(len(new))):
        return data.ImageDataset(split, split.source, every)
    new = tf.constant(new, tf.int64)
    images = split.map(lambda image, label: (image, tf.gather(new, label)))
    return data.ImageDataset(images, class_names=every)
