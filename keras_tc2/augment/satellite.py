"""satellite: a recipe for images from above with many spectral bands."""

from keras_tc2 import checks
from keras_tc2.augment.pipeline import Pipeline
from keras_tc2.augment.random_channel_gain import RandomChannelGain
from keras_tc2.augment.random_color_jitter import RandomColorJitter
from keras_tc2.augment.random_horizontal_flip import RandomHorizontalFlip
from keras_tc2.augment.random_quarter_turn import RandomQuarterTurn
from keras_tc2.augment.random_resized_crop import RandomResizedCrop
from keras_tc2.augment.random_vertical_flip import RandomVerticalFlip
from keras_tc2.augment.recipe_parts import blur_layers


def satellite(*, image_size: int, channels: int = 12) -> Pipeline:
    """A recipe for images from above with any number of spectral bands.

    Crop of 25 to 100 % of the area, all eight symmetries of the square, a gain of up
    to 20 % for each band, brightness and contrast by up to 40 % for all bands, blur
    with probability 0.5 from 64 pixels a side on.

    Args:
        image_size: int, height and width of the views.
        channels: int. Defaults to `12`.

    Returns:
        A `Pipeline`.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.satellite(image_size=32)
    views = recipe.augment(tf.zeros((8, 40, 40, 12), tf.uint16), seed=(0, 1))
    ```
    """
    return Pipeline(
        [
            RandomResizedCrop(
                checks.integer("image_size", image_size), area_range=(0.25, 1.0)
            ),
            RandomHorizontalFlip(),
            RandomVerticalFlip(),
            RandomQuarterTurn(),
            RandomChannelGain(gain=0.2),
            RandomColorJitter(brightness=0.4, contrast=0.4, probability=0.8),
            *blur_layers(image_size),
        ],
        channels=channels,
        name="satellite",
    )
