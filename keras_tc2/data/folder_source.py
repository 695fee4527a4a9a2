"""A folder of images, flat or nested, or with one sub-folder a class."""

import os

import numpy as np
import tensorflow as tf

from keras_tc2.data.broken_images import BrokenImages
from keras_tc2.data.decode import Decoder, decode_all
from keras_tc2.data.folder_manifest import IMAGE_SUFFIXES, list_folder
from keras_tc2.data.labels import check_several_classes
from keras_tc2.data.random_access import RandomAccess
from keras_tc2.data.read_picture import UnreadablePictureError, read_picture

TRIED_FIRST = 100


class FileImages(RandomAccess):
    """Image files, read by number.

    Args:
        paths: list of str.
        labels: int64 array `(N,)`, or `None`.
        request: `Request`.
        where: str, the source as messages name it.
    """

    def __init__(self, paths, labels, request, where):
        self.paths = paths
        self.labels = labels
        self.broken = BrokenImages(
            request.on_error,
            request.max_skipped_share,
            len(paths),
            where,
            self._explain,
        )
        raw = self._first_readable(request)
        pixel_format = request.pixel_format.resolve(raw.dtype, raw.shape[2])
        self.decoder = Decoder(pixel_format, request.max_pixels)
        super().__init__(
            len(paths),
            (*(pixel_format.image_size or raw.shape[:2]), pixel_format.channels),
            may_skip=request.on_error == "skip",
        )
        with tf.device("CPU"):
            self._path_tensor = tf.constant(paths)

    def elements(self, indices):
        """See the base class."""
        paths = tf.gather(self._path_tensor, indices)
        items = tf.data.Dataset.from_tensor_slices(
            (paths,)
            if self.labels is None
            else (paths, tf.gather(self.labels, indices))
        )

        def decode(path, *label):
            return (self.decoder.decode(tf.io.read_file(path)), *label)

        def examine(first, last):
            return tf.numpy_function(self.broken.examine, [paths[first:last]], tf.int64)

        def report():
            return tf.numpy_function(self.broken.report, [], tf.int64)

        elements = decode_all(items, decode, examine, report)
        if self.labels is None:
            return elements.map(lambda image: image)
        return elements

    def _first_readable(self, request):
        """The first image that can be read, which decides what was left open."""
        for path in self.paths[:TRIED_FIRST]:
            try:
                return self._read_raw(path, request)
            except (UnreadablePictureError, OSError) as error:
                self.broken.add(path, _reason(error))
        raise ValueError(
            f"None of the first {min(TRIED_FIRST, len(self.paths))} images can be "
            f"read. {self.broken.summary()}"
        )

    def _read_raw(self, path, request):
        with open(path, "rb") as file:
            return read_picture(
                file.read(),
                channels=request.pixel_format.channels,
                max_pixels=request.max_pixels,
            )

    def _explain(self, path):
        """`(path, what is wrong with the file)`."""
        path = os.fsdecode(path)
        try:
            with open(path, "rb") as file:
                self.decoder.read(file.read())
        except (ValueError, OSError) as error:
            return path, _reason(error)
        return path, "cannot be decoded by TensorFlow, though Pillow can; save it anew"


def matches_folder(request):
    """Whether the source is an existing folder."""
    return request.data_dir is None and request.path and request.path.is_dir()


def read_folder(request):
    """Opens a folder: its sub-folder `split` if there is one, else all of it."""
    root = request.path
    if (root / request.split).is_dir():
        root = root / request.split
    elif request.split != "train":
        raise ValueError(
            f"Folder {str(root)!r} has no sub-folder {request.split!r} for that split."
        )
    manifest = list_folder(root, request.manifest)
    if not manifest.files:
        links = (
            f" {manifest.links_out} symbolic links that lead out of it or to folders "
            "were not followed."
            if manifest.links_out
            else ""
        )
        raise ValueError(
            f"Folder {str(root)!r} holds no images ({' '.join(IMAGE_SUFFIXES)}).{links}"
        )
    labels = folder_labels(manifest) if request.labels else None
    paths = [os.path.join(root, name) for name in manifest.files]
    return FileImages(paths, labels, request, str(root)).dataset()


def folder_labels(manifest):
    """Class numbers: the place of each file's top folder among all, sorted by name."""
    flat = [name for name in manifest.files if "/" not in name]
    if flat:
        raise ValueError(
            f"`labels=True` needs every image in a sub-folder named after its class. "
            f"Received: {len(flat)} images directly in {manifest.root!r}, such as "
            f"{flat[0]!r}"
        )
    classes = [name.split("/", 1)[0] for name in manifest.files]
    check_several_classes(classes)
    return np.unique(classes, return_inverse=True)[1].astype(np.int64)


def _reason(error):
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    return str(error)
