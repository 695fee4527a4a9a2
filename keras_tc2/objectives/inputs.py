"""Checks of what a loss is given: a wrong shape would broadcast to a wrong number."""

import numbers

from keras import ops

from keras_tc2 import checks


def check_alike(tensors, *, min_batch_size=1, rank=2):
    """Raises `ValueError` unless tensors have one shape, and images enough.

    Sizes that are unknown while a graph is traced are not judged.

    Args:
        tensors: dict of the names that the message uses to tensors `(batch, ...)`.
        min_batch_size: int >= 1. The fewest images that give the loss a meaning.
        rank: int. Number of axes.
    """
    shapes = {name: tuple(ops.shape(tensor)) for name, tensor in tensors.items()}
    first, *others = shapes.values()
    if any(len(shape) != rank for shape in shapes.values()) or not all(
        _may_equal(first, other) for other in others
    ):
        kind = "(batch, dim)" if rank == 2 else f"tensors of {rank} axes"
        raise ValueError(
            f"{_listed(shapes)} must be {kind}, all of the same shape, row by row of "
            f"the same images. Received: {_described(shapes)}"
        )
    check_batch_size(shapes, min_batch_size)


def check_views_of_targets(predictions, targets, *, names, min_batch_size=1):
    """Raises `ValueError` unless lists of views and of targets belong together.

    Args:
        predictions: list of tensors `(batch, dim)`, one a view.
        targets: list of tensors `(batch, dim)`, one a global view.
        names: the two names that the message uses.
        min_batch_size: int >= 1. See `check_alike`.
    """
    if not targets or len(predictions) < max(2, len(targets)):
        raise ValueError(
            f"`{names[0]}` must be a list of at least two views, global ones first, "
            f"and `{names[1]}` a list of one tensor a global view. Received: "
            f"{len(predictions)} and {len(targets)}"
        )
    tensors = {}
    for name, group in zip(names, (predictions, targets), strict=True):
        tensors |= {f"{name}[{i}]": tensor for i, tensor in enumerate(group)}
    check_alike(tensors, min_batch_size=min_batch_size)


def check_batch_size(shapes, at_least):
    """Raises `ValueError` if a batch, the first axis of shapes, is below a number."""
    batch_sizes = {
        shape[0] for shape in shapes.values() if isinstance(shape[0], numbers.Integral)
    }
    if batch_sizes and min(batch_sizes) < at_least:
        raise ValueError(
            f"This loss compares images with one another and needs a batch of at least "
            f"{at_least}. Received: {_described(shapes)}"
        )


def check_number(name, value, check=checks.positive):
    """Applies a check to a Python number; a tensor, such as a learned one, may pass."""
    if not ops.is_tensor(value) and not hasattr(value, "value"):
        check(name, value)


def _may_equal(first, second):
    """Whether two shapes are the same as far as they are known."""
    return len(first) == len(second) and all(
        a == b
        for a, b in zip(first, second, strict=True)
        if isinstance(a, numbers.Integral) and isinstance(b, numbers.Integral)
    )


def _listed(shapes):
    return ", ".join(f"`{name}`" for name in shapes)


def _described(shapes):
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
