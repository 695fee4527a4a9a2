"""RandomGrayscale: drops the colour of some images."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Tensor
from keras_tc2.augment.color import scale_saturation, warn_skipped
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.per_image import draw_events


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomGrayscale(ImageAugmentation):
    """Replaces the channels of an image by its luminance with a probability.

    The luminance is 0.299 R + 0.587 G + 0.114 B, in all three channels. Images with
    another number of channels pass unchanged, with a warning.

    Args:
        probability: float in [0, 1]. Defaults to `0.2`.
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the same shape.

    Raises:
        ValueError: if `probability` is not in [0, 1].

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    grayscale = augment.RandomGrayscale(probability=1.0)
    views = grayscale.augment(tf.constant([[[[1.0, 0.0, 0.0]]]]), seed=(0, 1))
    ```
    """

    def __init__(
        self, *, probability: float = 0.2, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.probability = checks.probability("probability", probability)

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Greys the images that `seed` chooses."""
        if images.shape[-1] != 3:
            warn_skipped("RandomGrayscale", images.shape[-1])
            return images
        chosen = draw_events(images, seed, self.probability)
        return scale_saturation(images, tf.where(chosen, 0.0, 1.0))

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {**super().get_config(), "probability": self.probability}
