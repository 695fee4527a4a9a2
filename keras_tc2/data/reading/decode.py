"""Decoding in parallel: TensorFlow where it can, Python where it must.

Plain JPEGs and PNGs, nearly all there are, are decoded by TensorFlow's own operations.
Everything else goes through `read_picture`, in the same parallel map. TensorFlow's
decoders do not say which file was broken, so a broken image leaves a gap in the
numbering of the results, and what was to fill it is examined by name.
"""

import numpy as np
import tensorflow as tf

from keras_tc2.data.reading.python_calls import numpy_function
from keras_tc2.data.reading.read_picture import ROTATIONS_OF_PNG, read_picture

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PN"
# Colour types of the PNG header by number of channels; the others are for Python.
PNG_COLOR_TYPES = {1: 0, 3: 2, 4: 6}


class Decoder:
    """Decodes the encoded images of one source to one format.

    Args:
        pixel_format: resolved `PixelFormat`.
        max_pixels: int, see `read_picture`.
    """

    def __init__(self, pixel_format, max_pixels):
        self.pixel_format = pixel_format
        self.max_pixels = max_pixels

    def decode(self, content):
        """Image tensor of a string tensor, in the format; fails if it is broken."""
        form = self.pixel_format
        start = tf.strings.substr(content, 0, 3)
        image = tf.case(
            [
                (start == JPEG_START, lambda: self._decode_jpeg(content)),
                (start == PNG_START, lambda: self._decode_png(content)),
            ],
            default=lambda: self._decode_in_python(content),
        )
        return form.resize(tf.ensure_shape(image, (None, None, form.channels)))

    def read(self, content):
        """The image as an array, in the format but not resized.

        Raises:
            ValueError: saying what is wrong with the image, without its name.
        """
        image = read_picture(
            content, channels=self.pixel_format.channels, max_pixels=self.max_pixels
        )
        form = self.pixel_format
        form.check_raw_dtype(tf.as_dtype(image.dtype))
        needs_unit_range = image.dtype.kind == "f" and form.value_range is None
        if needs_unit_range and not 0 <= image.min() <= image.max() <= 1:
            raise ValueError(
                f"holds values from {image.min():g} to {image.max():g}; say which "
                "become black and white, `value_range=(low, high)`"
            )
        return form.convert(tf.constant(image)).numpy()

    def _decode_jpeg(self, content):
        """By TensorFlow, if neither rotated by EXIF or XMP nor of other channels."""
        channels = self.pixel_format.channels
        if channels not in (1, 3):
            return self._decode_in_python(content)
        shape = tf.io.extract_jpeg_shape(content)
        may_be_rotated = tf.strings.regex_full_match(
            tf.strings.substr(content, 0, 4096), r"\C*(Exif|tiff:Orientation)\C*"
        )
        plain = (
            ~may_be_rotated
            & (shape[2] == channels)
            & (tf.reduce_prod(tf.cast(shape[:2], tf.int64)) <= self.max_pixels)
        )

        def decode():
            image = tf.io.decode_jpeg(
                content, channels=channels, dct_method="INTEGER_ACCURATE"
            )
            return self.pixel_format.convert(image)

        return tf.cond(plain, decode, lambda: self._decode_in_python(content))

    def _decode_png(self, content):
        """By TensorFlow, if 8 bits deep, of the right channels, opaque and upright.

        It would show the colour that `tRNS` says is transparent, and rotate nothing.
        """
        channels = self.pixel_format.channels
        if channels not in PNG_COLOR_TYPES:
            return self._decode_in_python(content)
        size = tf.io.decode_raw(
            tf.strings.substr(content, 16, 8), tf.int32, little_endian=False
        )
        depth_and_type = tf.strings.substr(content, 24, 2)
        without = content
        for word in (b"tRNS", *ROTATIONS_OF_PNG):
            # Twice as fast as one pattern of all words.
            without = tf.strings.regex_replace(without, word, "", replace_global=False)
        plain = (
            (depth_and_type == bytes([8, PNG_COLOR_TYPES[channels]]))
            & (without == content)
            & (tf.reduce_prod(tf.cast(size, tf.int64)) <= self.max_pixels)
        )

        def decode():
            return self.pixel_format.convert(
                tf.io.decode_png(content, channels=channels)
            )

        return tf.cond(plain, decode, lambda: self._decode_in_python(content))

    def _decode_in_python(self, content):
        form = self.pixel_format
        image = numpy_function(
            self.read,
            [content],
            form.dtype,
            instead=np.zeros((1, 1, form.channels), form.dtype),
            stateful=False,
        )
        return tf.ensure_shape(image, (None, None, self.pixel_format.channels))


def decode_all(items, decode, element_spec, examine, report):
    """Decodes a dataset in parallel, in order, and accounts for what is broken.

    Args:
        items: dataset of tuples of tensors, each tuple standing for one image.
        decode: function from the tensors of an item to the decoded element, a tuple
            of tensors. Runs in parallel; may fail.
        element_spec: spec of the decoded element.
        examine: function from the numbers `first`, `last` of a gap to a tensor: looks
            at the items in [first, last) and raises or counts them.
        report: function called at the end of a pass in which images were skipped.

    Returns:
        Dataset of decoded elements.
    """
    spec = items.element_spec
    end = tf.nest.map_structure(lambda part: tf.zeros((), part.dtype), spec)
    numbered = (
        items.map(lambda *item: (False, item))
        .concatenate(tf.data.Dataset.from_tensors((True, end)))
        .enumerate()
    )

    def nothing():
        return tf.nest.map_structure(
            lambda part: tf.zeros([size or 0 for size in part.shape], part.dtype),
            element_spec,
        )

    def decode_numbered(number, ended_and_item):
        ended, item = ended_and_item
        element = tf.cond(ended, nothing, lambda: decode(*item))
        return (
            number,
            ended,
            tf.nest.map_structure(_as_specified, element, element_spec),
        )

    def attend(expected, number, ended, skipped):
        """Looks into a gap, and reports at the end of a pass; `skipped` so far."""
        gap = tf.cond(
            number > expected, lambda: examine(expected, number), lambda: np.int64(0)
        )
        skipped += tf.ensure_shape(gap, ())
        tf.cond(ended & (skipped > 0), report, lambda: np.int64(0))
        return skipped

    def account(state, numbered_element):
        expected, skipped = state
        number, ended, element = numbered_element
        skipped = tf.cond(
            ended | (number > expected),
            lambda: attend(expected, number, ended, skipped),
            lambda: skipped,
        )
        return (number + 1, skipped), (ended, element)

    return (
        numbered.map(decode_numbered, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors(log_warning=False)
        .scan((np.int64(0), np.int64(0)), account)
        .take_while(lambda ended, element: ~ended)
        .map(lambda ended, element: element)
    )


def _as_specified(tensor, spec):
    return tf.ensure_shape(tensor, spec.shape)
