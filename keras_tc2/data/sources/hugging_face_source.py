"""Datasets of Hugging Face's package `datasets`, of images in a column."""

import functools
import pathlib

import tensorflow as tf

from keras_tc2.data.reading.encoded_images import EncodedImages
from keras_tc2.data.reading.python_calls import numpy_function
from keras_tc2.data.sources.element_keys import IMAGE_KEYS, LABEL_KEYS, choose_key
from keras_tc2.data.sources.image_dataset import ImageSource
from keras_tc2.data.sources.labels import check_labels, names_of_numbers


class HuggingFaceImages(ImageSource):
    """Rows of a `datasets.Dataset`, read by number.

    Args:
        rows: `datasets.Dataset` whose column `image_key` gives encoded images.
        image_key: str.
        labels: int64 array `(N,)`, or `None`.
        request: `Request`.
        class_names: list of str, or `None`.
    """

    def __init__(self, rows, image_key, labels, request, class_names=None):
        self._rows = rows
        self._numbers = range(len(rows))
        self._image_key = image_key
        self._encoded = EncodedImages(
            range(len(rows)), len(rows), self._read, request, "the dataset"
        )
        shape = self._encoded.first_shape
        super().__init__(len(rows), shape, labels, class_names)
        if request.on_error == "skip":
            kept = self._encoded.readable(self.all_elements(), self.size)
            self._rows = rows.select(kept)
            self.labels = None if labels is None else labels[kept]
            self._numbers, self.size = kept, len(kept)

    def elements(self, indices):
        """See the base class."""
        item = (indices,)
        if self.labels is not None:
            item = (indices, tf.gather(self.labels, indices))

        def decode(to_image, index, *label):
            content = numpy_function(self._content, [index], tf.string)
            image = to_image(tf.ensure_shape(content, ()))
            return (image, *label) if label else image

        return self._encoded.elements(
            tf.data.Dataset.from_tensor_slices(item),
            decode,
            lambda first, last: indices[first:last],
            size=tf.size(indices, tf.int64),
        )

    def _read(self, index):
        return f"row {self._numbers[index]}", functools.partial(self._content, index)

    def _content(self, index):
        """The encoded image of a row: its bytes, or those of the file it names."""
        image = self._rows[int(index)][self._image_key]
        if image is None:
            raise ValueError("has no image")
        if image["bytes"] is not None:
            return image["bytes"]
        return pathlib.Path(image["path"]).read_bytes()


def matches_hugging_face(request):
    """Whether the source is an object of the package `datasets`."""
    return type(request.source).__module__.split(".")[0] == "datasets"


def read_hugging_face(request):
    """Opens a `Dataset`, or the split of a `DatasetDict`."""
    import datasets

    rows = request.source
    if isinstance(rows, datasets.DatasetDict):
        if request.split not in rows:
            raise ValueError(
                f"The dataset has the splits {sorted(rows)}. Received: "
                f"split={request.split!r}"
            )
        rows = rows[request.split]
    if not isinstance(rows, datasets.Dataset):
        raise TypeError(
            "`source` must be a `datasets.Dataset` or `DatasetDict`; make one of a "
            f"stream by loading without `streaming`. Received: {type(rows).__name__}"
        )
    image_key = choose_key("image", request.image_key, rows.features, IMAGE_KEYS)
    if not isinstance(rows.features[image_key], datasets.Image):
        raise ValueError(
            f"Column {image_key!r} must be a `datasets.Image`: cast it with "
            f"`cast_column`. Received: {rows.features[image_key]}"
        )
    labels = class_names = None
    if request.labels:
        label_key = choose_key("label", request.label_key, rows.features, LABEL_KEYS)
        labels = check_labels(rows[label_key][:], len(rows))
        own = getattr(rows.features[label_key], "names", None)
        class_names = names_of_numbers(own, request)
    rows = rows.cast_column(image_key, datasets.Image(decode=False))
    images = HuggingFaceImages(rows, image_key, labels, request, class_names)
    return images.dataset()
