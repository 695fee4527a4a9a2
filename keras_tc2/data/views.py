"""two_views, multi_views, batches: what pretrainers train on."""

import math
from collections.abc import Sequence

import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Augmentation, Images
from keras_tc2.augment import Views
from keras_tc2.data.pipeline.epochs import EpochCounter, each_epoch
from keras_tc2.data.pipeline.image_batches import (
    image_batches,
    num_images,
    num_sources,
)
from keras_tc2.data.pipeline.step_order import StepOrder
from keras_tc2.data.pipeline.view_dataset import ViewDataset, ViewStream
from keras_tc2.data.pipeline.view_maker import num_blocks, told, view_maker

# Images: the default of all that make batches.
SHUFFLE_BUFFER = 10_000


def two_views(
    images: Images | Sequence[Images],
    *,
    batch_size: int,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    shuffle: bool = True,
    shuffle_buffer: int = SHUFFLE_BUFFER,
    epoch_counter: EpochCounter | None = None,
) -> ViewDataset:
    """Batches of two augmented views of every image.

    Every iterator of the dataset, so every epoch of `fit`, gives the images in a new
    order and with new views. Order and views are functions of `seed`, the epoch and
    the batch alone, whatever runs in parallel. Images are read, decoded and augmented
    in parallel, and some batches ahead.

    Arrays and what `load` returned for arrays and image files are shuffled completely.
    Other datasets, such as those of TFDS, cannot be read in any order: they pass
    through a buffer of `shuffle_buffer` images, which must fit in memory. If such a
    dataset is sorted by class, take a buffer that holds several classes. What you made
    by `map` and the like is a plain dataset, which is warned of where the buffer is too
    small for all.

    Given to the `fit` of a pretrainer that was made under a `tf.distribute` strategy,
    `batch_size` is that of all replicas together. The images of a batch are divided
    over the replicas, each image to one of them, and the part of each replica is cut
    into its own M blocks, so that every replica has every task. So are those of what
    `take`, `skip`, `repeat`, `prefetch` and `with_options` make of this dataset; one
    made by `map`, `zip` or others is plain, and divided by Keras, which knows no
    blocks: make it for one recipe only.

    Args:
        images: unbatched `tf.data.Dataset` of images `(H, W, C)` or of
            `(image, label)`, whose labels are dropped, or an array `(N, H, W, C)`.
            uint8, uint16, or float in [0, 1]; all of the same size. Or a list of S of
            these: the batch is cut into S equal blocks, and block s is drawn from
            source s, so that sources, such as domains, become tasks. An epoch ends
            with the smallest source.
        batch_size: int >= 1. The last images of an epoch that do not fill a batch are
            left out; since the order changes, others every time.
        augmentation: one of

            - `None`: both views are the image itself, scaled to [0, 1];
            - a layer of `keras_tc2.augment`: each view is drawn from it anew;
            - a `keras_tc2.augment.Views` of two recipes: view i is made by recipe i;
            - a list of M of these: the batch is cut into M equal blocks, and block m
              is augmented by recipe m, so that blocks become tasks;
            - a function, or Keras layer, from float images `(B, H, W, C)` in [0, 1]
              to such images. It draws from its own random generator, so batches are
              augmented one after the other, and `seed` has no say in it. It is tried
              at once: one that TensorFlow cannot trace, such as KerasCV's
              `RandAugment` or a function of NumPy arrays, or that draws from the
              generators of Python or NumPy, is called in Python for every batch, and
              a line says so.

            Defaults to `None`.
        seed: int >= 0. Defaults to `0`.
        shuffle: bool. Whether every epoch has an order of its own. Defaults to `True`.
        shuffle_buffer: int >= 1. See above. Defaults to `10_000`.
        epoch_counter: `EpochCounter` that says which epoch comes next, for those who
            continue an interrupted run. Defaults to one that starts at 0.

    Returns:
        `ViewDataset`, a `tf.data.Dataset` of `(view_1, view_2)`, float32 in [0, 1],
        `(batch_size, height, width, channels)`.

    Raises:
        ValueError: if the images are not as described, there are fewer than a batch of
            them, or the batch cannot be cut into as many blocks as there are recipes.
            NaN, infinite and out-of-range pixels of arrays are found at once; those of
            a dataset stop the iteration with an error that names batch and epoch, as
            do images of different sizes.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import augment, data

    images = np.random.randint(0, 256, (64, 36, 36, 3), "uint8")
    views = data.two_views(
        images, batch_size=16, augmentation=augment.simclr(image_size=32)
    )
    view_1, view_2 = next(iter(views))
    assert view_1.shape == (16, 32, 32, 3) and len(views) == 4
    ```
    """
    _check_two(augmentation)
    return _views(
        images,
        batch_size=batch_size,
        augmentation=augmentation,
        num_views=2,
        seed=seed,
        shuffle=shuffle,
        shuffle_buffer=shuffle_buffer,
        epoch_counter=epoch_counter,
    )


def multi_views(
    images: Images | Sequence[Images],
    *,
    batch_size: int,
    augmentation: Augmentation,
    seed: int = 0,
    shuffle: bool = True,
    shuffle_buffer: int = SHUFFLE_BUFFER,
    epoch_counter: EpochCounter | None = None,
) -> ViewDataset:
    """Batches of as many views of every image as `augmentation` has recipes.

    For objectives that use more than two views, such as multi-crop.

    Args:
        images: as for `two_views`.
        batch_size: int >= 1. As for `two_views`.
        augmentation: `keras_tc2.augment.Views`, such as `augment.multi_crop(...)`, or
            a list of M of them, one for each block of the batch.
        seed: int >= 0, of order and views. Defaults to `0`.
        shuffle: bool. Whether every epoch has an order of its own. Defaults to `True`.
        shuffle_buffer: int >= 1. As for `two_views`. Defaults to `10_000`.
        epoch_counter: `EpochCounter`. Defaults to one that starts at 0.

    Returns:
        `ViewDataset`, a `tf.data.Dataset` of tuples of views, float32 in [0, 1], which
        may differ in height and width.

    Raises:
        ValueError: as `two_views`, or if `augmentation` is not made of `Views`.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import augment, data

    images = np.random.randint(0, 256, (16, 36, 36, 3), "uint8")
    recipe = augment.multi_crop(image_size=32, local_size=16, num_local=4)
    views = data.multi_views(images, batch_size=8, augmentation=recipe)
    assert len(next(iter(views))) == 6
    ```
    """
    recipes = augmentation if isinstance(augmentation, list) else [augmentation]
    if not all(isinstance(recipe, Views) for recipe in recipes):
        raise ValueError(
            "`augmentation` must be a `keras_tc2.augment.Views`, or a list of them; "
            f"for two views of one recipe use `two_views`. Received: {augmentation!r}"
        )
    return _views(
        images,
        batch_size=batch_size,
        augmentation=augmentation,
        num_views=None,
        seed=seed,
        shuffle=shuffle,
        shuffle_buffer=shuffle_buffer,
        epoch_counter=epoch_counter,
    )


def batches(
    images: Images | Sequence[Images],
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = True,
    shuffle_buffer: int = SHUFFLE_BUFFER,
    epoch_counter: EpochCounter | None = None,
) -> ViewDataset:
    """Batches of images, and of each the seed of its views, which the model makes.

    For a pretrainer with an `augmentation`: it makes the views within its step, on its
    device. They are those that `two_views` with the same augmentation, seed and batch
    size would make on that device, in the same order. Nothing but reading, decoding and
    shuffling is left to the CPU, and a batch goes to the device as it was read: of
    uint8 images a quarter of the bytes of one view.

    Args:
        images: unbatched `tf.data.Dataset`, array, or list of these, all as for
            `two_views`.
        batch_size: int >= 1, over all replicas together.
        seed: int >= 0, of order and views. Defaults to `0`.
        shuffle: bool. Whether every epoch has an order of its own. Defaults to `True`.
        shuffle_buffer: int >= 1. As for `two_views`. Defaults to `10_000`.
        epoch_counter: `EpochCounter`. Defaults to one that starts at 0.

    Returns:
        `ViewDataset`, a `tf.data.Dataset` of `(images, seed)`: images `(batch_size, H,
        W, C)`, uint8 as they were given and others float32 in [0, 1], and an int32
        seed `(2,)`.

    Raises:
        ValueError: as `two_views`, for the images.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), "uint8")
    model = tc2.SSLPretrainer(
        tc2.encoders.create("convnet", input_shape=(28, 28, 1)),
        objective="nt_xent",
        augmentation=tc2.augment.simclr(image_size=28, channels=1),
    )
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(tc2.data.batches(images, batch_size=32), epochs=1)
    ```
    """
    return _dataset(
        images,
        make=lambda images, seed: (images, seed),
        is_seeded=True,
        num_recipes=1,
        facts={},
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        shuffle_buffer=shuffle_buffer,
        epoch_counter=epoch_counter,
    )


def _views(images, *, batch_size, augmentation, num_views, **kwargs):
    """The dataset of `two_views` and `multi_views`, which describe the arguments."""
    checks.integer("batch_size", batch_size)
    _check_blocks(augmentation, batch_size)
    make, is_seeded = view_maker(augmentation, num_views)
    return _dataset(
        images,
        make=make,
        is_seeded=is_seeded,
        num_recipes=num_blocks(augmentation),
        facts={"augmentation": told(augmentation)},
        batch_size=batch_size,
        **kwargs,
    )


def _dataset(
    images,
    *,
    make,
    is_seeded,
    num_recipes,
    facts,
    batch_size,
    seed,
    shuffle,
    shuffle_buffer,
    epoch_counter,
):
    """The dataset of what `make` makes of each batch of images and its seed."""
    checks.integer("batch_size", batch_size)
    checks.integer("seed", seed, at_least=0)
    checks.integer("shuffle_buffer", shuffle_buffer)
    batches_of, num_batches = image_batches(
        images,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        shuffle_buffer=shuffle_buffer,
    )

    own_counter = EpochCounter() if epoch_counter is None else None
    stream = ViewStream(
        batches_of,
        make,
        is_seeded=is_seeded,
        batch_size=batch_size,
        num_blocks=math.lcm(num_recipes, num_sources(images)),
        seed=seed,
        facts={**facts, "num_images": num_images(images)},
        counter=own_counter,
    )
    views = each_epoch(own_counter or epoch_counter, stream.epoch)
    order = None
    if num_batches is not None:
        views = views.apply(tf.data.experimental.assert_cardinality(num_batches))
        order = StepOrder.of_epochs(num_batches)
    return ViewDataset(views.prefetch(tf.data.AUTOTUNE), stream, order)


def _check_blocks(augmentation, batch_size):
    """Raises `ValueError` if a batch cannot be cut into a block for each recipe."""
    number = num_blocks(augmentation)
    if number and batch_size % number:
        below = batch_size - batch_size % number
        nearest = [size for size in (below, below + number) if size > 0]
        raise ValueError(
            f"`batch_size` must be divisible by the number of recipes, {number}, "
            f"so that each gets an equal block. Received: batch_size={batch_size}; the "
            f"nearest that are: {' and '.join(map(str, nearest))}"
        )


def _check_two(augmentation):
    """Raises `ValueError` if a recipe makes another number of views than two."""
    recipes = augmentation if isinstance(augmentation, list | tuple) else [augmentation]
    for recipe in recipes:
        if isinstance(recipe, Views) and len(recipe.recipes) != 2:
            raise ValueError(
                "`two_views` needs a `Views` of two recipes; `data.multi_views` takes "
                f"any number. Received: {len(recipe.recipes)} recipes"
            )
