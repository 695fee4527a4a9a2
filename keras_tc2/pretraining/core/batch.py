"""What a batch is: views, and perhaps task ids; and whether it fits the model."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import keras
import tensorflow as tf

from keras_tc2.annotations import Tensor


class Batch(NamedTuple):
    """What a step is made of.

    Args:
        views: tuple of float tensors `(batch, H, W, C)`.
        task_ids: int tensor `(batch,)`, or `None` where the data bring no tasks.
    """

    views: tuple
    task_ids: tf.Tensor | None = None

    @classmethod
    def of(cls, parts: Sequence[Tensor]) -> Self:
        """The batch of `(*views)` or `(*views, task_ids or None)`."""
        *views, last = parts
        if last is None or len(last.shape) == 1:
            return cls(tuple(views), last)
        return cls(tuple(parts))


def parts_of(data):
    """A tuple of tensors, of what `fit` was given.

    Raises:
        ValueError: if it is not one tensor or a tuple of them.
    """
    data = tuple(data) if isinstance(data, tuple | list) else (data,)
    if not data or any(isinstance(part, tuple | list | dict) for part in data):
        raise ValueError(
            "A pretrainer is trained on batches of (view_1, view_2) or (view_1, "
            "view_2, task_ids), as `data.two_views` gives, or of more views. "
            f"Received: {keras.tree.map_structure(lambda x: x.shape, data)}"
        )
    return data


def as_tensors(parts):
    """The same parts, arrays as tensors and `None` as it is."""
    return tuple(None if part is None else tf.convert_to_tensor(part) for part in parts)


def check_views(views, *, image_shape, needs):
    """Raises `ValueError` if views are not what encoder and objective need.

    Args:
        views: tuple of tensors.
        image_shape: (height, width, channels) of the encoder, `None` for any.
        needs: `Needs` of the objective.
    """
    _check_number(len(views), needs)
    for position, view in enumerate(views):
        name = f"view_{position + 1}"
        if not tf.as_dtype(view.dtype).is_floating:
            raise ValueError(
                f"`{name}` must be float in [0, 1], as `data.two_views` gives it. "
                f"Received: dtype={view.dtype}"
            )
        # Local views are resized.
        expected = image_shape if position < 2 else (None, None, image_shape[2])
        if not _fits(view.shape, expected):
            raise ValueError(
                f"`{name}` must be {('batch', *expected)}, the image size of the "
                "encoder: give the augmentation that `image_size`, or make the "
                f"encoder with this `input_shape`. Received: shape={tuple(view.shape)}"
            )
    sizes = {view.shape[0] for view in views}
    if len(sizes) > 1 or len({tuple(view.shape) for view in views[:2]}) > 1:
        received = ", ".join(
            f"view_{position + 1} {tuple(view.shape)}"
            for position, view in enumerate(views)
        )
        raise ValueError(
            "Both views must have the same shape, and further views the same number "
            f"of images. Received: {received}"
        )
    if None in sizes:
        shape = tuple(views[0].shape)
        raise ValueError(
            "Batches must have a fixed size: batch the data with "
            "`drop_remainder=True`, as `data.two_views` does, or give arrays of a "
            "number that `batch_size` divides. Of a generator or a "
            "`keras.utils.PyDataset` Keras keeps no size: give "
            "`tf.data.Dataset.from_generator(..., output_signature=(view, view))` with "
            f"`view = tf.TensorSpec({(8, *shape[1:])})` for batches of 8. Received: "
            f"view_1 {shape}"
        )


def check_number_of_images(batch_size, objective, *, num_replicas):
    """Raises `ValueError` if a batch is too small for its loss to have a meaning.

    Args:
        batch_size: int, images on a replica.
        objective: `Objective`.
        num_replicas: int. With `gather` the loss sees the images of all.
    """
    at_least = objective.needs.min_batch_size
    if objective.gather:
        at_least = -(-at_least // num_replicas)
    if batch_size < at_least:
        raise ValueError(
            f"{type(objective).__name__} compares images with one another and needs a "
            f"batch of at least {at_least} images a replica: make the data with a "
            f"larger `batch_size`. Received: {batch_size} image(s) a replica"
        )


def _check_number(number, needs):
    if needs.min_views <= number <= (needs.max_views or number):
        return
    expected = "batches of (view_1, view_2), as `data.two_views` gives"
    if needs.max_views is None:
        expected += ", or of more views, as `data.multi_views` gives"
    raise ValueError(f"The objective needs {expected}. Received: {number} view(s)")


def _fits(shape, expected):
    return len(shape) == 4 and all(
        want is None or have == want
        for have, want in zip(shape[1:], expected, strict=True)
    )
