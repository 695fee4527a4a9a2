"""medical: a mild recipe for radiographs and alike."""

from keras_tc2 import checks
from keras_tc2.augment.pipeline import Pipeline
from keras_tc2.augment.random_color_jitter import RandomColorJitter
from keras_tc2.augment.random_horizontal_flip import RandomHorizontalFlip
from keras_tc2.augment.random_resized_crop import RandomResizedCrop
from keras_tc2.augment.recipe_parts import blur_layers


def medical(*, image_size: int, channels: int = 1) -> Pipeline:
    """A mild recipe for radiographs and alike: upright, and intensity means something.

    Crop of 50 to 100 % of the area, horizontal flip, brightness and contrast by up to
    20 %, blur with probability 0.5 from 64 pixels a side on. No vertical flip, no
    colour change, no solarisation. Where left and right differ in meaning, compose a
    `Pipeline` without the flip.

    Args:
        image_size: int, height and width of the views.
        channels: int. Defaults to `1`.

    Returns:
        A `Pipeline`.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.medical(image_size=64)
    views = recipe.augment(tf.zeros((8, 80, 80, 1), tf.uint16), seed=(0, 1))
    ```
    """
    return Pipeline(
        [
            RandomResizedCrop(
                checks.integer("image_size", image_size), area_range=(0.5, 1.0)
            ),
            RandomHorizontalFlip(),
            RandomColorJitter(brightness=0.2, contrast=0.2, probability=0.8),
            *blur_layers(image_size),
        ],
        channels=channels,
        name="medical",
    )
