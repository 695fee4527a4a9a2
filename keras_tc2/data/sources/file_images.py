"""FileImages: image files, read by number."""

import functools
import os
import pathlib

import tensorflow as tf

from keras_tc2.data.reading.encoded_images import EncodedImages
from keras_tc2.data.sources.image_dataset import ImageSource


class FileImages(ImageSource):
    """Image files, and perhaps their labels.

    Args:
        paths: list of str.
        labels: int64 array `(N,)`, or `None`.
        request: `Request`.
        where: str, the source as messages name it.
        class_names: list of str, or `None`.
    """

    def __init__(self, paths, labels, request, where, class_names=None):
        self._encoded = EncodedImages(
            paths, len(paths), _read, request, where, open_item=_open
        )
        shape = self._encoded.first_shape
        super().__init__(len(paths), shape, labels, class_names)
        with tf.device("CPU"):
            self._paths = tf.constant(paths)
        if request.on_error == "skip":
            self._keep(self._encoded.readable(self.all_elements(), self.size))

    def _keep(self, numbers):
        """Leaves all images out but those of these numbers."""
        with tf.device("CPU"):
            self._paths = tf.gather(self._paths, numbers)
        if self.labels is not None:
            self.labels = self.labels[numbers]
        self.size = len(numbers)

    def elements(self, indices):
        """See the base class."""
        paths = tf.gather(self._paths, indices)
        item = (paths,)
        if self.labels is not None:
            item = (paths, tf.gather(self.labels, indices))

        def decode(to_image, path, *label):
            image = to_image(tf.io.read_file(path))
            return (image, *label) if label else image

        return self._encoded.elements(
            tf.data.Dataset.from_tensor_slices(item),
            decode,
            lambda first, last: paths[first:last],
            size=tf.size(paths, tf.int64),
        )


def _open(path):
    return open(path, "rb")


def _read(path):
    path = os.fsdecode(path)
    return path, functools.partial(pathlib.Path.read_bytes, pathlib.Path(path))
