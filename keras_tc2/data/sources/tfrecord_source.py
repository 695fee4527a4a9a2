"""TFRecord files whose examples hold encoded images."""

import tensorflow as tf

from keras_tc2.data.reading.encoded_images import EncodedImages
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.data.sources.element_keys import IMAGE_KEYS, LABEL_KEYS, choose_key
from keras_tc2.data.sources.image_dataset import ImageDataset
from keras_tc2.data.sources.labels import names_of_numbers


def matches_tfrecords(request):
    """Whether the source is a TFRecord file, or a folder of such files."""
    return request.path is not None and bool(_record_files(request.path))


def read_tfrecords(request):
    """Opens the files in the order of their names, as one stream."""
    request.refuse_split("A TFRecord file")
    files = [str(path) for path in _record_files(request.path)]
    records = tf.data.TFRecordDataset(files)
    first = next(records.as_numpy_iterator(), None)
    if first is None:
        raise ValueError(f"{str(request.path)!r} holds no records.")
    keys = tf.train.Example.FromString(first).features.feature
    image_key = choose_key("image", request.image_key, keys, IMAGE_KEYS)
    features = {image_key: tf.io.FixedLenFeature((), tf.string)}
    if request.labels:
        label_key = choose_key("label", request.label_key, keys, LABEL_KEYS)
        features[label_key] = tf.io.FixedLenFeature((), tf.int64)

    def read(number):
        def read_bytes():
            record = records.skip(number).take(1).get_single_element()
            try:
                example = tf.io.parse_single_example(record, features)
            except tf.errors.InvalidArgumentError as error:
                raise ValueError(f"cannot be parsed: {error.message}") from error
            return example[image_key].numpy()

        return f"record {number} of {request.path}", read_bytes

    def decode(to_image, record):
        example = tf.io.parse_single_example(record, features)
        image = to_image(example[image_key])
        return (image, example[label_key]) if request.labels else image

    encoded = EncodedImages(
        range(2**31),
        None,
        read,
        request,
        str(request.path),
        contents=_contents(records, {image_key: features[image_key]}),
    )
    elements = encoded.elements(records.map(lambda record: (record,)), decode, tf.range)
    if request.on_error == "skip":
        with unwrapped():
            size = sum(1 for _ in elements)
        elements = elements.apply(tf.data.experimental.assert_cardinality(size))
    return ImageDataset(elements, class_names=names_of_numbers(None, request))


def _contents(records, feature):
    """The encoded images of records, as far as they can be parsed."""
    contents = records.map(lambda record: tf.io.parse_single_example(record, feature))
    for content in contents.ignore_errors().as_numpy_iterator():
        yield from content.values()


def _record_files(path):
    """The TFRecord files that a path is or holds, sorted."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if _is_record_file(file))
    return [path] if _is_record_file(path) else []


def _is_record_file(path):
    return path.is_file() and (".tfrecord" in path.name or ".tfrec" in path.name)
