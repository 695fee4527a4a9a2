"""show_views: a picture of what an augmentation makes of some images."""

import pathlib
from collections.abc import Sequence

import keras

from keras_tc2 import checks
from keras_tc2.annotations import Array, Figure, PathLike, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation, to_unit_range
from keras_tc2.augment.pipeline import check_augmentations
from keras_tc2.augment.views import Views


def show_views(
    images: Array | Tensor,
    augmentation: ImageAugmentation | Sequence[ImageAugmentation],
    *,
    num_images: int = 8,
    seed: int = 0,
    path: PathLike | None = None,
) -> Figure:
    """Draws images above and their views below, a column for each image.

    To look at before training: are the views still recognisable, and are they
    different enough?

    Args:
        images: array or tensor `(n, height, width, channels)`, uint8, uint16 or float
            in [0, 1]. One channel is drawn grey, three in colour; of any other number
            the first three are drawn as red, green and blue (two: the first, grey),
            and the picture says so.
        augmentation: an `ImageAugmentation`, drawn as two rows of views; `Views`, one
            row for each recipe; or a list of task recipes, one row for each, or for
            each view where they are `Views`.
        num_images: int, how many of the first images to draw. Defaults to `8`.
        seed: int, start of the randomness. Defaults to `0`.
        path: file to write, such as `"views.png"`, or `None` to write none. Its
            folder must exist. Defaults to `None`.

    Returns:
        The `matplotlib.figure.Figure`. It is not registered with pyplot, so nothing
        needs closing; notebooks show it.

    Raises:
        ValueError: if the images have not four axes or are none, or an argument is
            out of its range.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import augment

    images = np.random.default_rng(0).random((4, 32, 32, 3))
    figure = augment.show_views(images, augment.simclr(image_size=32), num_images=4)
    ```
    """
    from matplotlib.figure import Figure

    num_images = checks.integer("num_images", num_images)
    images = to_unit_range(images[:num_images])
    if images.shape[0] == 0:
        raise ValueError("`images` must hold at least one image. Received: none")
    rows = [("original", images), *_rows_of_views(images, augmentation, seed)]

    columns = images.shape[0]
    figure = Figure(
        figsize=(1.2 * columns + 1.2, 1.25 * len(rows) + 0.4), layout="constrained"
    )
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for (label, row), row_axes in zip(rows, axes, strict=True):
        for image, cell in zip(row.numpy(), row_axes, strict=True):
            cell.imshow(drawable(image), cmap="gray", vmin=0.0, vmax=1.0)
            cell.set(xticks=[], yticks=[])
        row_axes[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(_title(images.shape[-1]), fontsize=9)
    if path is not None:
        figure.savefig(pathlib.Path(path).expanduser(), dpi=120)
    return figure


def _rows_of_views(images, augmentation, seed):
    """Pairs of a label and a batch of views."""
    if isinstance(augmentation, Views):
        views = augmentation.augment(images, (seed, 0))
        return [
            (f"view {index}\n{recipe.name}", view)
            for index, (recipe, view) in enumerate(
                zip(augmentation.recipes, views, strict=True), start=1
            )
        ]
    if isinstance(augmentation, keras.layers.Layer):
        (layer,) = check_augmentations("augmentation", [augmentation])
        return [
            (f"view {index}", layer.augment(images, (seed, index))) for index in (1, 2)
        ]
    rows = []
    recipes = check_augmentations("augmentation", augmentation)
    for index, recipe in enumerate(recipes):
        made = recipe.augment(images, (seed, index))
        if isinstance(recipe, Views):
            rows += [
                (f"task {index}\nview {number}", view)
                for number, view in enumerate(made, start=1)
            ]
        else:
            rows.append((f"task {index}", made))
    return rows


def drawable(image):
    """An image as matplotlib draws it: `(height, width)` or `(height, width, 3)`."""
    if image.shape[-1] < 3:
        return image[..., 0]
    return image[..., :3]


def _title(channels):
    """What the colours of the picture mean."""
    if channels == 1:
        return "1 channel, drawn grey"
    if channels == 2:
        return "2 channels, the first drawn grey"
    if channels == 3:
        return "3 channels, drawn as red, green, blue"
    return f"{channels} channels, the first three drawn as red, green, blue"
