"""RandomColorJitter: brightness, contrast, saturation and hue of each image."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Range, Tensor
from keras_tc2.augment.color import (
    scale_brightness,
    scale_contrast,
    scale_saturation,
    shift_hue,
    warn_skipped,
)
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.per_image import (
    draw_events,
    draw_uniform,
    transform_groups,
    transform_some,
)
from keras_tc2.augment.ranges import factor_range, number_or_pair, shift_range

# In the order in which they are made: the argument, the change, the amount that changes
# nothing, and whether it needs three colour channels.
CHANGES = (
    ("brightness", scale_brightness, 1.0, False),
    ("contrast", scale_contrast, 1.0, False),
    ("saturation", scale_saturation, 1.0, True),
    ("hue", shift_hue, 0.0, True),
)


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomColorJitter(ImageAugmentation):
    """Changes brightness, contrast, saturation and hue by random amounts.

    The colour jitter of SimCLR [1] with the formulas of torchvision's `ColorJitter`:
    a factor f blends the image with black (brightness), with its mean luminance
    (contrast) or with its own grey (saturation); the hue turns exactly, in HSV. Values
    are clipped to [0, 1] after each. Every image draws its own amounts, and whether it
    is changed at all.

    Saturation and hue exist for three channels only. For other numbers of channels
    they are skipped, with a warning, and contrast refers to the mean over all
    channels.

    Args:
        brightness: float s >= 0 for factors in [max(0, 1 - s), 1 + s], or a pair of
            factors. Defaults to `0.0`.
        contrast: like `brightness`. Defaults to `0.0`.
        saturation: like `brightness`. Defaults to `0.0`.
        hue: float s in [0, 0.5] for shifts in [-s, s], or a pair of shifts in
            [-0.5, 0.5], in turns of the colour circle. Defaults to `0.0`.
        probability: float in [0, 1] that an image is changed. Defaults to `1.0`.
        random_order: bool. Whether every image draws its own order of the four
            changes; else the order is that of the arguments, which is faster.
            Defaults to `False`.
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the same shape.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    jitter = augment.RandomColorJitter(
        brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, probability=0.8
    )
    views = jitter.augment(tf.zeros((8, 32, 32, 3), tf.uint8), seed=(0, 1))
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709, appendix A
    """

    def __init__(
        self,
        *,
        brightness: Range = 0.0,
        contrast: Range = 0.0,
        saturation: Range = 0.0,
        hue: Range = 0.0,
        probability: float = 1.0,
        random_order: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.brightness = number_or_pair(brightness)
        self.contrast = number_or_pair(contrast)
        self.saturation = number_or_pair(saturation)
        self.hue = number_or_pair(hue)
        self.probability = checks.probability("probability", probability)
        self.random_order = random_order
        self._ranges = (
            factor_range("brightness", brightness),
            factor_range("contrast", contrast),
            factor_range("saturation", saturation),
            shift_range("hue", hue),
        )

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Changes the images that `seed` chooses."""
        seeds = tf.unstack(tf.random.split(seed, 6))
        channels = images.shape[-1]
        changes, amounts = [], []
        for index, (name, change, neutral, needs_color) in enumerate(CHANGES):
            if self._ranges[index] == (neutral, neutral):
                continue
            if needs_color and channels != 3:
                warn_skipped(f"The {name} of RandomColorJitter", channels)
                continue
            changes.append(change)
            amounts.append(draw_uniform(images, seeds[index], *self._ranges[index]))
        if not changes:
            return images

        def jitter(some, indices):
            own_amounts = [tf.gather(amount, indices) for amount in amounts]
            if self.random_order:
                return _change_in_random_order(some, changes, own_amounts, seeds[4])
            for change, amount in zip(changes, own_amounts, strict=True):
                some = change(some, amount)
            return some

        if self.probability == 1:
            return jitter(images, tf.range(tf.shape(images)[0]))
        chosen = draw_events(images, seeds[5], self.probability)
        return transform_some(images, chosen, jitter)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "hue": self.hue,
            "probability": self.probability,
            "random_order": self.random_order,
        }


def _change_in_random_order(images, changes, amounts, seed):
    """Each image goes through all changes, in its own order."""
    shape = (tf.shape(images)[0], len(changes))
    orders = tf.argsort(tf.random.stateless_uniform(shape, seed), axis=1)
    steps = [
        lambda some, where, change=change, amount=amount: change(
            some, tf.gather(amount, where)
        )
        for change, amount in zip(changes, amounts, strict=True)
    ]
    for position in range(len(changes)):
        images = transform_groups(images, orders[:, position], steps)
    return images
