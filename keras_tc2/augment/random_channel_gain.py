"""RandomChannelGain: a brightness factor for each channel of each image."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2.annotations import Config, Range, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.ranges import factor_range, number_or_pair


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomChannelGain(ImageAugmentation):
    """Multiplies every channel of every image by its own random factor; clips at 1.

    For images whose channels are separate measurements, such as spectral bands, where
    saturation and hue mean nothing.

    Args:
        gain: float s >= 0 for factors in [max(0, 1 - s), 1 + s], or a pair of factors.
            Defaults to `0.2`.
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the same shape.

    Raises:
        ValueError: if `gain` is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    gain = augment.RandomChannelGain(gain=0.2)
    views = gain.augment(tf.zeros((8, 32, 32, 12), tf.uint8), seed=(0, 1))
    ```
    """

    def __init__(
        self, *, gain: Range = 0.2, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.gain = number_or_pair(gain)
        self._factors = factor_range("gain", gain)

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Scales every channel."""
        shape = (tf.shape(images)[0], 1, 1, images.shape[-1])
        factors = tf.random.stateless_uniform(shape, seed, *self._factors)
        return tf.minimum(images * factors, 1.0)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {**super().get_config(), "gain": self.gain}
