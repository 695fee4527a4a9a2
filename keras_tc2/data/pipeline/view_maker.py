"""From a batch of images and a seed to its views, by what the user calls augmentation.

Every maker is a function `make(images, seed)` that returns a tuple of views.
"""

import tensorflow as tf

from keras_tc2.augment import Views
from keras_tc2.augment.image_augmentation import to_unit_range
from keras_tc2.data.pipeline.function_augmentation import FunctionAugmentation

# Of a layer's config: what it is called, what Keras alone asks, and its seed, which is
# drawn where none is given.
NOT_TOLD = ("name", "trainable", "dtype", "seed")


def view_maker(augmentation, num_views):
    """The maker for an `augmentation` of `two_views` or `multi_views`.

    Args:
        augmentation: see `two_views`.
        num_views: int, how many views anything but `Views` makes.

    Returns:
        `(make, is_seeded)`: the function, and whether its results depend on nothing
        but its arguments, so that calls may run in parallel.

    Raises:
        ValueError: if `augmentation` cannot be applied.
    """
    if isinstance(augmentation, list | tuple):
        if not augmentation:
            raise ValueError(
                "`augmentation` must be a layer or a list of at least one. Received: "
                "an empty list"
            )
        makers = [view_maker(recipe, num_views) for recipe in augmentation]
        blocks = [make for make, _ in makers]
        return _make_blocks(blocks), all(is_seeded for _, is_seeded in makers)
    if augmentation is None:
        return _repeat(num_views), True
    if isinstance(augmentation, Views):
        return lambda images, seed: augmentation.augment(images, seed), True
    if hasattr(augmentation, "augment"):
        return _augment_each(augmentation, num_views), True
    if callable(augmentation):
        return _call_each(augmentation, num_views), False
    raise ValueError(
        "`augmentation` must be None, a layer of `keras_tc2.augment`, a list of them, "
        "or a function from images to images. Received: "
        f"{type(augmentation).__name__} {augmentation!r}"
    )


def num_blocks(augmentation):
    """How many blocks a list of recipes stands for; 1 for anything else."""
    return len(augmentation) if isinstance(augmentation, list | tuple) else 1


def told(augmentation):
    """What tells an `augmentation` from another, as JSON values: classes and arguments.

    Nothing of seeds, which a dataset gives, and of what a function does.
    """
    if isinstance(augmentation, list | tuple):
        return [told(recipe) for recipe in augmentation]
    if augmentation is None:
        return None
    name = type(augmentation).__name__
    try:
        return _told({name: augmentation.get_config()})
    except (AttributeError, NotImplementedError):
        return name


def _told(value):
    if isinstance(value, list | tuple):
        return [_told(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__lambda__":
        return "function"
    if "class_name" in value and isinstance(value.get("config"), dict):
        return _told({value["class_name"]: value["config"]})
    return {key: _told(part) for key, part in value.items() if key not in NOT_TOLD}


def _repeat(num_views):
    def make(images, seed):
        return (to_unit_range(images),) * num_views

    return make


def _augment_each(augmentation, num_views):
    def make(images, seed):
        return tuple(
            augmentation.augment(images, tf.random.fold_in(seed, view))
            for view in range(num_views)
        )

    return make


def _call_each(function, num_views):
    function = FunctionAugmentation(function)

    def make(images, seed):
        images = to_unit_range(images)
        return tuple(function(images) for _ in range(num_views))

    return make


def _make_blocks(makers):
    def make(images, seed):
        blocks = tf.split(images, len(makers))
        made = [
            maker(block, tf.random.fold_in(seed, place))
            for place, (maker, block) in enumerate(zip(makers, blocks, strict=True))
        ]
        shapes = [[view.shape[1:] for view in views] for views in made]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "The recipes in `augmentation` must make as many views as each other, "
                f"of the same shape. Received: {shapes}"
            )
        return tuple(tf.concat(views, axis=0) for views in zip(*made, strict=True))

    return make
