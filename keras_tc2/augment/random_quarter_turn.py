"""RandomQuarterTurn: turns by a random multiple of 90 degrees."""

import keras
import tensorflow as tf

from keras_tc2.annotations import Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.per_image import draw_uniform, transform_groups


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomQuarterTurn(ImageAugmentation):
    """Turns each image by 0, 90, 180 or 270 degrees, equally likely; exact.

    For square images without a natural upright, such as satellite or microscopy
    images. After a random mirroring, all eight symmetries of the square are equally
    likely.

    Args:
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, side, side, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the same shape.

    Raises:
        ValueError: if the images are known not to be square.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    turn = augment.RandomQuarterTurn()
    views = turn.augment(tf.zeros((8, 32, 32, 12), tf.uint8), seed=(0, 1))
    ```
    """

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Turns each image by 0 to 3 quarters."""
        height, width = images.shape[1:3]
        if height != width:
            raise ValueError(
                "`RandomQuarterTurn` needs square images: a quarter turn swaps height "
                "and width. Crop or resize first, for example by `RandomResizedCrop`. "
                f"Received: height {height}, width {width}"
            )
        turns = tf.cast(draw_uniform(images, seed, 0.0, 4.0), tf.int32)
        return transform_groups(
            images,
            turns,
            [
                lambda same, _: same,
                lambda some, _: tf.reverse(tf.transpose(some, (0, 2, 1, 3)), [1]),
                lambda some, _: tf.reverse(some, [1, 2]),
                lambda some, _: tf.reverse(tf.transpose(some, (0, 2, 1, 3)), [2]),
            ],
        )
