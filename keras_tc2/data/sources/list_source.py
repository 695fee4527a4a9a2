"""Lists of image files, of Pillow's images, or of arrays."""

import dataclasses
import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_tc2.data.reading.read_picture import lay_on_white, picture_pixels
from keras_tc2.data.sources.array_source import array_images, check_pixels
from keras_tc2.data.sources.file_images import file_images
from keras_tc2.data.sources.labels import number_labels

PATH, PICTURE, ARRAY = "path", "image of Pillow", "array (H, W, C) or (H, W)"


def matches_list(request):
    """Whether the source is a list of images, or a pair of one and labels."""
    return _items_and_labels(request.source) is not None


def read_list(request):
    """Opens a list; what is in memory stays there."""
    request.refuse_split("A list")
    items, labels = _items_and_labels(request.source)
    items = list(items)
    if not items:
        raise ValueError("The list of images is empty.")
    if request.labels and labels is None:
        raise ValueError(
            "`labels=True` needs a pair (images, labels), or pass the labels of the "
            f"list, `labels=[...]`. Received: a list of {len(items)} images only"
        )
    labels = labels if request.labels else None
    kind = _kind(items[0])
    for number, item in enumerate(items):
        if _kind(item) != kind:
            raise ValueError(
                f"A list must hold images of one kind. Received: first {kind}, and "
                f"{type(item).__name__} as number {number}"
            )
    if kind == PATH:
        return _read_files(items, labels, request)
    images, request = _stacked(
        [_pixels(number, item, request) for number, item in enumerate(items)], request
    )
    return array_images(images, labels, request)


def _items_and_labels(source):
    """`(items, labels or None)`, or `None` if the source is no list of images."""
    pair = isinstance(source, tuple) and len(source) == 2
    if pair and _kind(source[0]) == ARRAY and _are_labels(source[1], len(source[0])):
        return None  # `array_source` says what images without channels need.
    if _holds_images(source):
        return source, None
    return source if pair and _holds_images(source[0]) else None


def _are_labels(values, number):
    """Whether something is a label for each of a number of images."""
    shape = np.shape(values)
    return shape in ((number,), (number, 1))


def _holds_images(source):
    """Whether something is a sequence whose first element is an image."""
    if isinstance(source, list | tuple):
        return not source or _kind(source[0]) is not None
    # An array, or column of a data frame, of paths.
    if getattr(source, "ndim", None) != 1 or not hasattr(source, "tolist"):
        return False
    values = source.tolist()
    return bool(values) and _kind(values[0]) == PATH


def _kind(item):
    import PIL.Image

    if isinstance(item, str | os.PathLike):
        return PATH
    if isinstance(item, PIL.Image.Image):
        return PICTURE
    is_array = hasattr(item, "dtype") and getattr(item, "ndim", None) in (2, 3)
    return ARRAY if is_array else None


def _read_files(paths, labels, request):
    paths = [str(pathlib.Path(path).expanduser()) for path in paths]
    class_names = None
    if labels is not None:
        labels, class_names = number_labels(labels, len(paths), request.class_names)
    where = f"The list of {len(paths)} paths"
    return file_images(paths, labels, request, where, class_names)


def _pixels(number, item, request):
    """The array `(H, W, C)` of an image in memory."""
    if _kind(item) == PICTURE:
        try:
            image, has_alpha = picture_pixels(item)
        except (ValueError, OSError) as error:
            raise ValueError(f"Image {number} cannot be read: {error}") from error
        if has_alpha and image.shape[2] != request.pixel_format.channels:
            image = lay_on_white(image)
    else:
        image = np.asarray(item)
        image = image[..., None] if image.ndim == 2 else image
    if 0 in image.shape:
        raise ValueError(f"Image {number} is empty: shape {image.shape}.")
    return image


def _stacked(images, request):
    """One array of all images, and the request for what is still to be done to it."""
    shapes, dtypes = [sorted({f(x) for x in images}) for f in (np.shape, _dtype)]
    if len(dtypes) > 1:
        raise ValueError(f"Images of a list must have one dtype. Received: {dtypes}")
    if len(shapes) == 1:
        return np.stack(images), request
    form = request.pixel_format
    if form.image_size is None and len({shape[:2] for shape in shapes}) > 1:
        raise ValueError(
            "Images of a list must have one size, or pass `image_size`. Received: "
            f"shapes {shapes[0]} and {shapes[-1]}"
        )
    channels = {shape[2] for shape in shapes}
    if form.channels is None and channels == {1, 3}:
        form = dataclasses.replace(form, channels=3, converts_channels=True)
    form = form.resolve(images[0].dtype, images[0].shape[2])
    finished = []
    for number, image in enumerate(images):
        check_pixels(image[None], form.value_range, first=number)
        try:
            finished.append(form.resize(form.convert(tf.constant(image))).numpy())
        except ValueError as error:
            raise ValueError(f"Image {number} {error}") from error
    form = dataclasses.replace(form, value_range=None)
    return np.stack(finished), dataclasses.replace(request, pixel_format=form)


def _dtype(image):
    return image.dtype.name
