"""simclr_tasks: recipes that differ, so that the blocks of a batch become tasks."""

import itertools

from keras_tc2 import checks
from keras_tc2.augment.pipeline import Pipeline
from keras_tc2.augment.random_color_jitter import RandomColorJitter
from keras_tc2.augment.random_gaussian_blur import RandomGaussianBlur
from keras_tc2.augment.random_horizontal_flip import RandomHorizontalFlip
from keras_tc2.augment.random_resized_crop import RandomResizedCrop
from keras_tc2.augment.random_solarize import RandomSolarize
from keras_tc2.augment.recipe_parts import color_layers

MAX_TASKS = 16

# Smallest share of the area that a crop keeps, blur, solarise. The first four are half
# of all crossings of the first two crops: any two of them differ in two settings, and
# each setting occurs in two.
COLOR_TASKS = (
    (0.25, False, False),
    (0.6, True, False),
    (0.6, False, True),
    (0.25, True, True),
    (0.6, False, False),
    (0.25, True, False),
    (0.25, False, True),
    (0.6, True, True),
    *itertools.product((0.08, 0.4), (False, True), (False, True)),
)

# Smallest share of the area, flip, brightness and contrast, blur.
_FIRST_GREY_TASKS = (
    (0.25, True, True, False),
    (0.25, False, True, False),
    (0.6, True, True, False),
    (0.25, False, False, False),
)
GREY_TASKS = _FIRST_GREY_TASKS + tuple(
    task
    for task in itertools.product(
        (0.25, 0.6), (True, False), (True, False), (False, True)
    )
    if task not in _FIRST_GREY_TASKS
)


def simclr_tasks(
    *, image_size: int, num_tasks: int = 4, channels: int = 3
) -> list[Pipeline]:
    """Recipes derived from SimCLR's that differ from each other, one for each task.

    Given to `data.two_views` as a list, block m of every batch is augmented by recipe
    m, and so each block becomes a task with invariances of its own.

    Three channels: every task keeps flip, colour jitter (0.4, 0.4, 0.4, 0.1 with
    probability 0.8) and greyscale (0.2), because tasks without colour jitter cost
    accuracy. They differ in the area that crops keep at least, in blur and in
    solarisation (each of probability 0.5 where it is on):

    | task | crop | blur | solarise |
    |---|---|---|---|
    | 0 | 0.25 to 1 | | |
    | 1 | 0.6 to 1 | yes | |
    | 2 | 0.6 to 1 | | yes |
    | 3 | 0.25 to 1 | yes | yes |

    Tasks 4 to 7 are the four other crossings of these settings; tasks 8 to 15 cross
    blur and solarisation with crops of 0.08 to 1 and 0.4 to 1.

    Other numbers of channels: brightness and contrast change by up to 40 % with
    probability 0.8, where they are on.

    | task | crop | flip | brightness, contrast |
    |---|---|---|---|
    | 0 | 0.25 to 1 | yes | yes |
    | 1 | 0.25 to 1 | | yes |
    | 2 | 0.6 to 1 | yes | yes |
    | 3 | 0.25 to 1 | | |

    Tasks 4 to 15 are the other crossings of the two crops, flip, intensity and blur.

    Args:
        image_size: int, height and width of the views.
        num_tasks: int from 2 to 16. Defaults to `4`.
        channels: int. Defaults to `3`.

    Returns:
        List of `num_tasks` `Pipeline`s.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipes = augment.simclr_tasks(image_size=28, channels=1)
    blocks = tf.split(tf.zeros((32, 28, 28, 1), tf.uint8), len(recipes))
    views = [recipe.augment(x, seed=(0, 1)) for recipe, x in zip(recipes, blocks)]
    ```
    """
    checks.integer("image_size", image_size)
    if checks.integer("num_tasks", num_tasks, at_least=2) > MAX_TASKS:
        raise ValueError(
            f"`num_tasks` must be at most {MAX_TASKS}, the number of recipes that "
            "differ. For more tasks, give `data.two_views` a list of your own recipes. "
            f"Received: num_tasks={num_tasks}"
        )
    if checks.integer("channels", channels) == 3:
        tasks = [_color_task(image_size, *task) for task in COLOR_TASKS]
    else:
        tasks = [_grey_task(image_size, *task) for task in GREY_TASKS]
    return [
        Pipeline(layers, channels=channels, name=f"simclr_task_{index}")
        for index, layers in enumerate(tasks[:num_tasks])
    ]


def _color_task(image_size, min_area, blurs, solarizes):
    """The layers of one task on colour images."""
    return [
        RandomResizedCrop(image_size, area_range=(min_area, 1.0)),
        RandomHorizontalFlip(),
        *color_layers(3, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        *([RandomGaussianBlur(probability=0.5)] if blurs else []),
        *([RandomSolarize(probability=0.5)] if solarizes else []),
    ]


def _grey_task(image_size, min_area, flips, jitters, blurs):
    """The layers of one task on images without colour."""
    jitter = RandomColorJitter(brightness=0.4, contrast=0.4, probability=0.8)
    return [
        RandomResizedCrop(image_size, area_range=(min_area, 1.0)),
        *([RandomHorizontalFlip()] if flips else []),
        *([jitter] if jitters else []),
        *([RandomGaussianBlur(probability=0.5)] if blurs else []),
    ]
