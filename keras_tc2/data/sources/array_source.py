"""Arrays of images, in memory or memory-mapped."""

import numpy as np
import tensorflow as tf

from keras_tc2.data.reading.python_calls import numpy_function
from keras_tc2.data.sources.image_dataset import ImageSource
from keras_tc2.data.sources.labels import number_labels

CHECKED_AT_ONCE = 1024
READ_AT_ONCE = 64


class ArrayImages(ImageSource):
    """Images `(N, H, W, C)` and perhaps labels `(N,)`, gathered by number.

    Args:
        images: NumPy array, or anything with its `shape`, `dtype` and indexing by a
            sorted list of numbers. A plain array is held as one tensor; the others,
            such as memory maps, are read as batches ask for them.
        pixel_format: `PixelFormat`, resolved.
        labels: int64 array `(N,)`, or `None`.
        class_names: list of str, or `None`.
    """

    def __init__(self, images, pixel_format, labels=None, class_names=None):
        size = pixel_format.image_size or images.shape[1:3]
        shape = (*size, pixel_format.channels)
        super().__init__(len(images), shape, labels, class_names)
        self.pixel_format = pixel_format
        self._shape = tuple(images.shape[1:])
        self._dtype = tf.as_dtype(images.dtype)
        self._array = images
        self._tensor = None
        if type(images) is np.ndarray:
            with tf.device("CPU"):
                self._tensor = tf.constant(images)

    def elements(self, indices):
        """See the base class. Reads images in groups, which costs less an image."""
        images = self._read(indices, READ_AT_ONCE, drop_remainder=False).unbatch()
        if self.labels is None:
            return images
        labels = tf.data.Dataset.from_tensor_slices(tf.gather(self.labels, indices))
        return tf.data.Dataset.zip((images, labels))

    def image_batches(self, indices, batch_size):
        """See the base class."""
        return self._read(indices, batch_size, drop_remainder=True)

    def _read(self, indices, batch_size, *, drop_remainder):
        """Batches of images in the format."""

        def read(rows):
            images = self.pixel_format.convert(self._gather(rows))
            return self.pixel_format.resize(images)

        rows = tf.data.Dataset.from_tensor_slices(indices)
        return rows.batch(batch_size, drop_remainder=drop_remainder).map(
            read, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _gather(self, rows):
        """Raw images `(len(rows), H, W, C)`."""
        if self._tensor is not None:
            return tf.gather(self._tensor, rows)
        images = numpy_function(self._read_rows, [rows], self._dtype)
        return tf.ensure_shape(images, (rows.shape[0], *self._shape))

    def _read_rows(self, rows):
        """Rows in any order, each read once, in ascending order: HDF5 needs that."""
        ascending, places = np.unique(rows, return_inverse=True)
        images = np.asarray(self._array[ascending], self._dtype.as_numpy_dtype)[places]
        if self._dtype.is_floating:
            for row, image in zip(rows, images, strict=True):
                check_pixels(image[None], self.pixel_format.value_range, first=row)
        return images


def matches_array(request):
    """Whether the source is an array, or a pair (images, labels)."""
    source = request.source
    if isinstance(source, tuple | list):
        return len(source) == 2 and _is_array(source[0])
    return _is_array(source)


def read_array(request):
    """Opens an array, or a pair of images and labels."""
    request.refuse_split("An array")
    pair = isinstance(request.source, tuple | list)
    images, labels = request.source if pair else (request.source, None)
    if request.labels and labels is None:
        raise ValueError(
            "`labels=True` needs a pair (images, labels). Received: images only, shape "
            f"{tuple(images.shape)}"
        )
    return array_images(images, labels if request.labels else None, request)


def array_images(images, labels, request):
    """Checks arrays of images and labels, and gives random access to them."""
    if isinstance(images, tf.Tensor):
        images = images.numpy()
    value_range = request.pixel_format.value_range
    check_image_shape(images.shape)
    if type(images) is np.ndarray:
        check_pixels(images, value_range)
        images = images.astype(images.dtype.newbyteorder("="), copy=False)
    class_names = None
    if labels is not None:
        labels, class_names = number_labels(labels, len(images), request.class_names)
    pixel_format = request.pixel_format.resolve(images.dtype, images.shape[-1])
    pixel_format.check_channels(images.shape[-1])
    return ArrayImages(images, pixel_format, labels, class_names).dataset()


def checked_images(images):
    """Images in memory as an array `(N, H, W, C)`, after `check_pixels`.

    Raises:
        ValueError: if they are not images, or a pair of images and labels.
    """
    if isinstance(images, tuple) and any(np.ndim(part) != 3 for part in images):
        raise ValueError(
            "A tuple is no array of images: of (images, labels) give the images alone, "
            "and several sources as a list. Received: a tuple of "
            f"{', '.join(type(part).__name__ for part in images)}"
        )
    images = np.asarray(images)
    check_image_shape(images.shape)
    check_pixels(images)
    return images


def check_image_shape(shape):
    """Raises `ValueError` unless it is the shape `(N, H, W, C)` of some images."""
    if len(shape) != 4 or 0 in shape:
        raise ValueError(
            "Images must be an array (N, H, W, C) with none of them 0; for grey images "
            "pass `images[..., None]`, for a single one `images[None]`. Received: "
            f"shape {tuple(shape)}"
        )
    if channels_come_first(shape):
        raise ValueError(
            "Channels come last, (N, H, W, C): `np.moveaxis(images, 1, -1)`. Received: "
            f"shape {tuple(shape)}"
        )


def channels_come_first(shape):
    """Whether `(N, ?, ?, ?)` can only be meant as `(N, C, H, W)`."""
    _, first, second, last = shape
    return first in (1, 3) and last not in (1, 2, 3, 4) and second > 4


def check_pixels(images, value_range=None, first=0):
    """Raises `ValueError` if float pixels are not finite, or not in [0, 1].

    Args:
        images: array `(N, H, W, C)`.
        value_range: if given, values need only be finite.
        first: int, the number of the first image, for messages.
    """
    if not tf.as_dtype(images.dtype).is_floating:
        return
    for start in range(0, len(images), CHECKED_AT_ONCE):
        part = images[start : start + CHECKED_AT_ONCE]
        bad = ~np.isfinite(part).all(axis=(1, 2, 3))
        if value_range is None:
            bad |= (part < 0).any(axis=(1, 2, 3)) | (part > 1).any(axis=(1, 2, 3))
        if bad.any():
            where = int(np.argmax(bad))
            raise ValueError(
                "Float pixels must be finite and in [0, 1]: divide by 255, pass uint8, "
                "or tell `load` the `value_range=(low, high)`. Received: values from "
                f"{part[where].min()} to {part[where].max()} in image "
                f"{first + start + where}"
            )


def _is_array(source):
    return all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__"))
