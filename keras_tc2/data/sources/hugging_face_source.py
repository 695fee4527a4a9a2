"""Datasets of Hugging Face's package `datasets`, of images in a column."""

import functools
import pathlib

import tensorflow as tf

from keras_tc2.data.reading.python_calls import numpy_function
from keras_tc2.data.sources.element_keys import IMAGE_KEYS, LABEL_KEYS, choose_key
from keras_tc2.data.sources.file_images import EncodedSource
from keras_tc2.data.sources.labels import check_labels, names_of_numbers


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

    def content(number):
        """The encoded image of a row: its bytes, or those of the file it names."""
        image = rows[int(number)][image_key]
        if image is None:
            raise ValueError("has no image")
        if image["bytes"] is not None:
            return image["bytes"]
        return pathlib.Path(image["path"]).read_bytes()

    return EncodedSource(
        range(len(rows)),
        labels,
        request,
        "the dataset",
        class_names,
        read=lambda number: (f"row {number}", functools.partial(content, number)),
        content=lambda number: tf.ensure_shape(
            numpy_function(content, [number], tf.string), ()
        ),
    ).dataset()
