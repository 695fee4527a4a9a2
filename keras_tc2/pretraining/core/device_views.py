"""Views that a pretrainer makes of images itself, within its step, on its device."""

import tensorflow as tf

from keras_tc2.checks import one_of
from keras_tc2.data import batches, two_views
from keras_tc2.data.pipeline.view_maker import num_blocks, view_maker
from keras_tc2.pretraining.core.batch import Batch

# Where views are made: within the step, beside the reading of images, or the former
# where there is a GPU.
PLACES = ("auto", "device", "input")


def placed_views(images, augmentation, *, place, batch_size, seed):
    """What `fit` is given, and what of it the pretrainer makes views with.

    Args:
        images: as of `data.two_views`.
        augmentation: as of `data.two_views`.
        place: one of `PLACES`.
        batch_size: int >= 1.
        seed: int >= 0.

    Returns:
        `(dataset, augmentation)`: batches of images, and the augmentation for the
        constructor of the pretrainer; or views that are ready, and `None`.
    """
    one_of("views", place, PLACES)
    if place == "auto":
        place = "device" if tf.config.list_physical_devices("GPU") else "input"
    if place == "device":
        return batches(images, batch_size=batch_size, seed=seed), augmentation
    views = two_views(
        images, batch_size=batch_size, seed=seed, augmentation=augmentation
    )
    return views, None


class DeviceViews:
    """The `augmentation` of a pretrainer, and how it makes views of a batch.

    Args:
        augmentation: as for `data.two_views`, or `None` for none.

    Raises:
        ValueError: if it cannot be applied.
    """

    def __init__(self, augmentation):
        self.augmentation = augmentation
        self.num_blocks = num_blocks(augmentation)
        self._make = None
        if augmentation is not None:
            self._make, _ = view_maker(augmentation, num_views=2)

    def of(self, parts):
        """The `Batch` of views of images, or of ready views.

        Args:
            parts: tuple of tensors, `(images, seed)`, `(images, seed, task_ids or
                None)`, or as `Batch.of` takes them.

        Raises:
            ValueError: if there are images and no augmentation, or the reverse.
        """
        self.check(parts)
        if not holds_images(parts):
            return Batch.of(parts)
        images, seed, *task_ids = parts
        return Batch(self._make(images, seed), *task_ids)

    def check(self, parts):
        """Raises `ValueError` if views can neither be made of a batch nor are ready.

        Args:
            parts: tuple of tensors, or of `tf.TensorSpec`s.
        """
        images = parts[0]
        if holds_images(parts):
            if self._make is None:
                raise ValueError(
                    "These are batches of (images, seed), as `data.batches` gives, and "
                    "the pretrainer has no `augmentation` to make views with: give it "
                    "one, or `fit` what `data.two_views` makes."
                )
            if images.shape[0] is not None and images.shape[0] % self.num_blocks:
                raise ValueError(
                    "A batch must be divisible by the number of recipes, "
                    f"{self.num_blocks}, so that each gets an equal block. Received: "
                    f"{images.shape[0]} images"
                )
        elif self._make is not None and tf.as_dtype(images.dtype).is_integer:
            raise ValueError(
                "The pretrainer makes its views itself, by its `augmentation`: give it "
                "batches of (images, seed), as `data.batches(images, batch_size=...)` "
                "makes them, or ready views in [0, 1]. Received: images of dtype "
                f"{tf.as_dtype(images.dtype).name} without a seed"
            )


def holds_images(parts):
    """Whether a batch, or the specs of one, is `(images, seed)` and perhaps task ids.

    Args:
        parts: tuple of tensors or `tf.TensorSpec`s.
    """
    if len(parts) < 2 or parts[1] is None:
        return False
    images, seed = parts[:2]
    return (
        len(images.shape) == 4
        and tuple(seed.shape) == (2,)
        and tf.as_dtype(seed.dtype).is_integer
    )
