"""RandomResizedCrop: a random box of each image, resized to one size."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.ranges import interval, number_or_pair
from keras_tc2.augment.resampling import INTERPOLATIONS, crop_and_resize

NUM_CANDIDATES = 10


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomResizedCrop(ImageAugmentation):
    """Cuts a box of random area, aspect ratio and place, and resizes it.

    The crop of Inception that SimCLR [1] made the main augmentation: area is uniform
    in `area_range`, the logarithm of the aspect ratio uniform in that of
    `aspect_range`, the place uniform. As in torchvision, up to ten boxes are drawn and
    the first that fits in the image counts; if none does, the centred box of the whole
    image, trimmed to the aspect range. Boxes are continuous: they need not start or
    end at a pixel border. A box larger than `size` shrinks with antialiasing, like
    Pillow's and torchvision's: the kernel is as wide as the shrinkage.

    Args:
        size: int or pair of ints (height, width): the size to return.
        area_range: pair in (0, 1], share of the image's area. Defaults to
            `(0.08, 1.0)`.
        aspect_range: pair > 0, width over height. Defaults to `(3/4, 4/3)`.
        interpolation: `"bilinear"` or `"bicubic"`. Defaults to `"bilinear"`.
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1], `(batch, *size, channels)`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    crop = augment.RandomResizedCrop(32, area_range=(0.25, 1.0))
    views = crop.augment(tf.zeros((8, 40, 48, 3), tf.uint8), seed=(0, 1))
    assert views.shape == (8, 32, 32, 3)
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709, appendix A
    """

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        area_range: Sequence[float] = (0.08, 1.0),
        aspect_range: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = "bilinear",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.size = number_or_pair(size)
        sides = self.size if isinstance(self.size, tuple) else (size, size)
        if len(sides) != 2:
            raise ValueError(
                "`size` must be an int or a pair (height, width). Received: "
                f"size={size!r}"
            )
        self._sides = tuple(checks.integer("size", side) for side in sides)
        self.area_range = interval(
            "area_range", area_range, low=0, high=1, open_low=True
        )
        self.aspect_range = interval("aspect_range", aspect_range, low=0, open_low=True)
        self.interpolation = checks.one_of(
            "interpolation", interpolation, INTERPOLATIONS
        )

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Cuts and resizes the boxes that `boxes` draws."""
        boxes = self.boxes(tf.shape(images), seed)
        views = crop_and_resize(images, boxes, self._sides, self.interpolation)
        return tf.ensure_shape(views, self.compute_output_shape(images.shape))

    def boxes(self, image_shape: Tensor, seed: Tensor) -> Tensor:
        """Draws the boxes that `augment` cuts for this seed.

        Args:
            image_shape: int32 tensor `(4,)`, or 4 ints: batch, height, width,
                channels.
            seed: integer tensor `(2,)`.

        Returns:
            Float32 tensor `(batch, 4)`: top, left, height, width, in pixels.
        """
        batch, height, width, _ = tf.unstack(tf.convert_to_tensor(image_shape))
        height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        seeds = tf.unstack(tf.random.split(seed, 3))

        candidates = (batch, NUM_CANDIDATES)
        area = tf.random.stateless_uniform(candidates, seeds[0], *self.area_range)
        log_aspect = tf.random.stateless_uniform(
            candidates, seeds[1], *(math.log(ratio) for ratio in self.aspect_range)
        )
        area *= height * width
        box_width = tf.sqrt(area * tf.exp(log_aspect))
        box_height = tf.sqrt(area * tf.exp(-log_aspect))
        fits = (box_width <= width) & (box_height <= height)

        # The trimmed whole image stands last, and always fits.
        whole_aspect = tf.clip_by_value(width / height, *self.aspect_range)
        whole_width = tf.minimum(width, height * whole_aspect)
        whole_height = tf.minimum(height, width / whole_aspect)
        column = tf.ones((batch, 1))
        box_width = tf.concat([box_width, whole_width * column], 1)
        box_height = tf.concat([box_height, whole_height * column], 1)
        first = tf.argmax(tf.concat([fits, column > 0], 1), axis=1)
        box_width = tf.gather(box_width, first, batch_dims=1)
        box_height = tf.gather(box_height, first, batch_dims=1)

        place = tf.random.stateless_uniform((batch, 2), seeds[2])
        any_fits = tf.reduce_any(fits, axis=1, keepdims=True)
        place = tf.where(any_fits, place, 0.5)
        top = place[:, 0] * (height - box_height)
        left = place[:, 1] * (width - box_width)
        return tf.stack([top, left, box_height, box_width], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the views for a shape of images."""
        return (input_shape[0], *self._sides, input_shape[-1])

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "area_range": self.area_range,
            "aspect_range": self.aspect_range,
            "interpolation": self.interpolation,
        }
