"""EncodedSource: image files and other encoded images, read by number."""

import functools
import os
import pathlib

import tensorflow as tf

from keras_tc2.data.reading.encoded_images import EncodedImages
from keras_tc2.data.sources.image_dataset import ImageSource, Subset


class EncodedSource(ImageSource):
    """Encoded images, and perhaps their labels.

    Args:
        items: list of what stands for each image, str or int.
        labels: int64 array `(N,)`, or `None`.
        request: `Request`.
        where: str, the source as messages name it.
        class_names: list of str, or `None`.
        read: see `EncodedImages`.
        content: function from an item, a tensor, to its bytes, a string tensor.
        open_item: see `EncodedImages`.
    """

    def __init__(
        self,
        items,
        labels,
        request,
        where,
        class_names,
        *,
        read,
        content,
        open_item=None,
    ):
        self._encoded = EncodedImages(
            items, len(items), read, request, where, open_item=open_item
        )
        shape = self._encoded.first_shape
        super().__init__(len(items), shape, labels, class_names)
        self._content = content
        self._skips = request.on_error == "skip"
        with tf.device("CPU"):
            self._items = tf.constant(items)

    def dataset(self):
        """See the base class. Without the images that are to be skipped."""
        if not self._skips:
            return super().dataset()
        numbers = self._encoded.readable(self.all_elements(), self.size)
        return Subset(self, numbers).dataset()

    def elements(self, indices):
        """See the base class."""
        items = tf.gather(self._items, indices)
        labels = () if self.labels is None else (tf.gather(self.labels, indices),)

        def decode(to_image, item, *label):
            image = to_image(self._content(item))
            return (image, *label) if label else image

        return self._encoded.elements(
            tf.data.Dataset.from_tensor_slices((items, *labels)),
            decode,
            lambda first, last: items[first:last],
            size=tf.size(items, tf.int64),
        )


def file_images(paths, labels, request, where, class_names=None):
    """The `ImageDataset` of image files; the arguments are those of `EncodedSource`."""
    return EncodedSource(
        paths,
        labels,
        request,
        where,
        class_names,
        read=_read,
        content=tf.io.read_file,
        open_item=_open,
    ).dataset()


def _open(path):
    return open(path, "rb")


def _read(path):
    path = os.fsdecode(path)
    return path, functools.partial(pathlib.Path.read_bytes, pathlib.Path(path))
