"""simclr: the recipe of SimCLR, and its version for small images."""

from collections.abc import Sequence

from keras_tc2 import checks
from keras_tc2.augment.pipeline import Pipeline
from keras_tc2.augment.random_gaussian_blur import RandomGaussianBlur
from keras_tc2.augment.random_horizontal_flip import RandomHorizontalFlip
from keras_tc2.augment.random_resized_crop import RandomResizedCrop
from keras_tc2.augment.recipe_parts import blur_layers, color_layers


def simclr(
    *,
    image_size: int,
    channels: int = 3,
    strength: float = 1.0,
    area_range: Sequence[float] = (0.08, 1.0),
    blur: bool | None = None,
    interpolation: str = "bilinear",
) -> Pipeline:
    """The augmentation of SimCLR: one recipe for both views.

    Random resized crop, horizontal flip, colour jitter (0.8 s, 0.8 s, 0.8 s, 0.2 s
    with probability 0.8), greyscale (0.2) and, for large images, blur (0.5), as in
    appendix A of [1]. For other than three channels, saturation, hue and greyscale
    are left out.

    Args:
        image_size: int, height and width of the views.
        channels: int. Defaults to `3`.
        strength: float in [0, 2.5], s above. The paper takes 1 for ImageNet and 0.5
            for CIFAR-10. Defaults to `1.0`.
        area_range: pair in (0, 1], the crop's share of the area. Defaults to
            `(0.08, 1.0)`.
        blur: bool, or `None` for blur from 64 pixels a side on. Defaults to `None`.
        interpolation: `"bilinear"` or `"bicubic"`. Defaults to `"bilinear"`.

    Returns:
        A `Pipeline`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.simclr(image_size=32, strength=0.5)
    view_1 = recipe.augment(tf.zeros((8, 32, 32, 3), tf.uint8), seed=(0, 1))
    view_2 = recipe.augment(tf.zeros((8, 32, 32, 3), tf.uint8), seed=(0, 2))
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709, appendices A and B.9
    """
    checks.non_negative("strength", strength)
    if strength > 2.5:
        raise ValueError(
            "`strength` must be at most 2.5, where the hue already turns by up to half "
            f"a circle. Received: strength={strength}"
        )
    if blur is None:
        blur_part = blur_layers(image_size)
    else:
        blur_part = [RandomGaussianBlur(probability=0.5)] if blur else []
    return Pipeline(
        [
            RandomResizedCrop(
                checks.integer("image_size", image_size),
                area_range=area_range,
                interpolation=interpolation,
            ),
            RandomHorizontalFlip(),
            *color_layers(
                channels,
                brightness=0.8 * strength,
                contrast=0.8 * strength,
                saturation=0.8 * strength,
                hue=0.2 * strength,
            ),
            *blur_part,
        ],
        channels=channels,
        name="simclr",
    )


def small_images(*, image_size: int, channels: int = 3) -> Pipeline:
    """SimCLR for images of about 28 to 64 pixels: half strength, milder crop, no blur.

    Args:
        image_size: int, height and width of the views.
        channels: int. Defaults to `3`.

    Returns:
        A `Pipeline`.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.small_images(image_size=28, channels=1)
    views = recipe.augment(tf.zeros((8, 28, 28, 1), tf.uint8), seed=(0, 1))
    ```
    """
    return simclr(
        image_size=image_size,
        channels=channels,
        strength=0.5,
        area_range=(0.2, 1.0),
        blur=False,
    )
