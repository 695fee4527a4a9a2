"""byol: the two asymmetric recipes of BYOL."""

from keras_tc2 import checks
from keras_tc2.augment.pipeline import Pipeline
from keras_tc2.augment.random_horizontal_flip import RandomHorizontalFlip
from keras_tc2.augment.random_resized_crop import RandomResizedCrop
from keras_tc2.augment.random_solarize import RandomSolarize
from keras_tc2.augment.recipe_parts import blur_layers, color_layers
from keras_tc2.augment.views import Views


def byol(*, image_size: int, channels: int = 3) -> Views:
    """The two asymmetric recipes of BYOL: the second view is solarised.

    As table 6 of [1]: crop, flip, jitter (0.4, 0.4, 0.2, 0.1; probability 0.8) and
    greyscale (0.2) in both; blur with probability 1 and 0.1; solarise with
    probability 0 and 0.2. Blur is left out below 64 pixels a side, and what needs
    colour for other than three channels. Crops are bilinear and the jitter has a fixed
    order, where [1] has bicubic ones and a random order.

    Args:
        image_size: int, height and width of the views.
        channels: int. Defaults to `3`.

    Returns:
        `Views` of two recipes.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.byol(image_size=64)
    view_1, view_2 = recipe.augment(tf.zeros((8, 64, 64, 3), tf.uint8), seed=(0, 1))
    ```

    References:
        - [1] Grill et al., 2020, arXiv 2006.07733, appendix B, table 6
    """
    return Views(
        [
            asymmetric_recipe("byol_1", image_size, channels, blur=1.0),
            asymmetric_recipe("byol_2", image_size, channels, blur=0.1, solarize=0.2),
        ],
        name="byol",
    )


def asymmetric_recipe(
    name, image_size, channels, *, blur, area_range=(0.08, 1.0), solarize=0.0
):
    """One view of `byol` or `multi_crop`; `blur` and `solarize` are probabilities."""
    return Pipeline(
        [
            RandomResizedCrop(
                checks.integer("image_size", image_size), area_range=area_range
            ),
            RandomHorizontalFlip(),
            *color_layers(
                channels, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1
            ),
            *blur_layers(image_size, probability=blur),
            *([RandomSolarize(probability=solarize)] if solarize else []),
        ],
        channels=channels,
        name=name,
    )
