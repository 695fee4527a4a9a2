"""RandomSolarize: inverts the bright pixels of some images."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.per_image import draw_events, transform_some


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomSolarize(ImageAugmentation):
    """Replaces x by 1 - x where x >= threshold, in some images.

    Part of the second view of BYOL [1]. Every channel of a pixel is compared on its
    own.

    Args:
        threshold: float in [0, 1]. Defaults to `0.5`.
        probability: float in [0, 1] that an image is changed. Defaults to `0.2`.
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the same shape.

    Raises:
        ValueError: if an argument is not in [0, 1].

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    solarize = augment.RandomSolarize(probability=1.0)
    views = solarize.augment(tf.constant([[[[0.25], [0.75]]]]), seed=(0, 1))
    assert views.numpy().ravel().tolist() == [0.25, 0.25]
    ```

    References:
        - [1] Grill et al., 2020, arXiv 2006.07733, appendix B
    """

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        probability: float = 0.2,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.threshold = checks.probability("threshold", threshold)
        self.probability = checks.probability("probability", probability)

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Solarises the images that `seed` chooses."""
        chosen = draw_events(images, seed, self.probability)
        return transform_some(images, chosen, self._solarize)

    def _solarize(self, images, _):
        return tf.where(images < self.threshold, images, 1.0 - images)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "probability": self.probability,
        }
