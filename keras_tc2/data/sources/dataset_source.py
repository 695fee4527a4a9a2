"""A `tf.data.Dataset` that the user made."""

import tensorflow as tf

from keras_tc2.data.reading.pixel_format import checked_pixels
from keras_tc2.data.sources.element_keys import as_image_and_label
from keras_tc2.data.sources.image_dataset import ImageDataset
from keras_tc2.data.sources.labels import names_of_numbers


def matches_dataset(request):
    """Whether the source is a `tf.data.Dataset`."""
    return isinstance(request.source, tf.data.Dataset)


def read_dataset(request):
    """Brings the elements of a dataset to `image` or `(image, label)`."""
    request.refuse_split("A tf.data.Dataset")
    own = getattr(request.source, "class_names", None)
    names = names_of_numbers(own, request)
    return ImageDataset(format_elements(request.source, request), class_names=names)


def format_elements(dataset, request):
    """Images of an unbatched dataset in the format asked for; labels as int64."""
    choose = as_image_and_label(dataset.element_spec, request)
    dataset = dataset.map(choose, num_parallel_calls=tf.data.AUTOTUNE)
    spec = dataset.element_spec
    image_spec = spec[0] if request.labels else spec
    shape = image_spec.shape
    if shape.rank != 3 or shape[2] is None:
        raise ValueError(
            "A dataset must yield single images (height, width, channels) with a known "
            "number of channels; unbatch it, or set the shape. Received: images of "
            f"shape {shape}"
        )
    pixel_format = request.pixel_format.resolve(image_spec.dtype, shape[2])

    def finish(image):
        image = checked_pixels(image, pixel_format.value_range)
        return pixel_format.resize(pixel_format.convert(image))

    if request.labels:
        if not spec[1].dtype.is_integer or spec[1].shape.rank != 0:
            raise ValueError(
                "Labels of a dataset must be single integers. Received: dtype "
                f"{spec[1].dtype.name}, shape {spec[1].shape}"
            )
        return dataset.map(
            lambda image, label: (finish(image), tf.cast(label, tf.int64)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    return dataset.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
