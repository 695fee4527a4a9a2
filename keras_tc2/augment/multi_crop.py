"""multi_crop: two global and some local views, as in DINO."""

from keras_tc2 import checks
from keras_tc2.augment.byol import asymmetric_recipe
from keras_tc2.augment.views import Views


def multi_crop(
    *, image_size: int, local_size: int, num_local: int = 6, channels: int = 3
) -> Views:
    """Two global views and some small local ones, as in DINO.

    The global views keep 40 to 100 % of the area, the local ones 5 to 40 %. Jitter
    and greyscale are those of `byol`; blur has probability 1, 0.1 and, in local
    views, 0.5; the second global view is solarised with probability 0.2, as in the
    code of [1]. Blur is left out in views below 64 pixels a side. Crops are bilinear
    and the jitter has a fixed order, where [1] has bicubic ones and a random order.

    Args:
        image_size: int, height and width of the two global views.
        local_size: int, height and width of the local views.
        num_local: int >= 0. Defaults to `6`.
        channels: int. Defaults to `3`.

    Returns:
        `Views` of 2 + `num_local` recipes, the global ones first.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.multi_crop(image_size=64, local_size=32, num_local=2)
    views = recipe.augment(tf.zeros((8, 64, 64, 3), tf.uint8), seed=(0, 1))
    assert [view.shape[1] for view in views] == [64, 64, 32, 32]
    ```

    References:
        - [1] Caron et al., 2021, arXiv 2104.14294, section 3.1
    """
    checks.integer("num_local", num_local, at_least=0)
    large, small = (0.4, 1.0), (0.05, 0.4)
    return Views(
        [
            asymmetric_recipe(
                "global_1", image_size, channels, area_range=large, blur=1.0
            ),
            asymmetric_recipe(
                "global_2",
                image_size,
                channels,
                area_range=large,
                blur=0.1,
                solarize=0.2,
            ),
            *(
                asymmetric_recipe(
                    f"local_{index}", local_size, channels, area_range=small, blur=0.5
                )
                for index in range(1, num_local + 1)
            ),
        ],
        name="multi_crop",
    )
