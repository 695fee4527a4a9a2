"""RandomHorizontalFlip: mirrors left and right."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.per_image import draw_events, transform_some


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomHorizontalFlip(ImageAugmentation):
    """Mirrors each image left to right with a probability.

    Args:
        probability: float in [0, 1]. Defaults to `0.5`.
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

    flip = augment.RandomHorizontalFlip(probability=1.0)
    views = flip.augment(tf.constant([[[[0.0], [1.0]]]]), seed=(0, 1))
    assert views.numpy().ravel().tolist() == [1.0, 0.0]
    ```
    """

    def __init__(
        self, *, probability: float = 0.5, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.probability = checks.probability("probability", probability)

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Mirrors the images that `seed` chooses."""
        chosen = draw_events(images, seed, self.probability)
        return transform_some(images, chosen, lambda some, _: tf.reverse(some, [2]))

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {**super().get_config(), "probability": self.probability}
