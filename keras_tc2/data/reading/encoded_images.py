"""EncodedImages: what sources of encoded images share, be they files or records."""

import dataclasses
import io
import itertools

import tensorflow as tf
from absl import logging

from keras_tc2.data.reading.broken_images import BrokenImages
from keras_tc2.data.reading.channel_choice import choose_channels
from keras_tc2.data.reading.decode import Decoder, decode_all
from keras_tc2.data.reading.picture_header import channels_of
from keras_tc2.data.reading.python_calls import numpy_function
from keras_tc2.data.reading.read_picture import read_picture
from keras_tc2.data.reading.reading_errors import unwrapped

TRIED_FIRST = 100
# Fewer images are read in seconds.
WORTH_A_LINE = 10_000


class EncodedImages:
    """Decodes the encoded images of a source, and says which are broken and why.

    An item is whatever stands for one image in the source, such as a path or a number.

    Args:
        items: list of items, or another iterable whose first are enough: they are
            tried, so that images decide what the request leaves open.
        size: int, or `None` if it is not known.
        read: function from an item to `(name, read_bytes)`, the image as messages
            name it and a function without arguments that gives its bytes.
        request: `Request`.
        where: str, the source as messages name it.
        open_item: function from an item to a binary file, for headers. Defaults to
            `None`, all of the bytes.
        contents: iterable of the bytes of the first images, for headers, where items
            cannot be opened in any order. Defaults to `None`.

    Attributes:
        pixel_format: `PixelFormat`, resolved.
        first_shape: `(height, width, channels)` of the first image that can be read.
    """

    def __init__(
        self, items, size, read, request, where, *, open_item=None, contents=None
    ):
        self._read = read
        self._open = open_item or (lambda item: io.BytesIO(read(item)[1]()))
        if contents is not None:
            self._open = io.BytesIO
        self._gaps = None
        self._counted = False
        self._has_labels = request.labels
        self._broken = BrokenImages(
            request.on_error, request.max_skipped_share, size, where, self._explain
        )
        wanted = self._wanted_format(contents or items, request.pixel_format, where)
        self._decoder, first = self._first_readable(items, wanted, request.max_pixels)
        self.pixel_format = self._decoder.pixel_format
        size = self.pixel_format.image_size or first.shape[:2]
        self.first_shape = (*size, self.pixel_format.channels)

    def elements(self, items, decode, items_between, *, size=None):
        """Decoded images, in the order of the items.

        Once `readable` has counted, an image that breaks later is replaced by one of
        the first, so that there are as many as were counted.

        Args:
            items: dataset of tuples of tensors, one for each image.
            decode: function from `(to_image, *item)` to an image, or to
                `(image, label)`, where `to_image` turns bytes into an image.
            items_between: function from int64 tensors `first`, `last` to the items
                that `read` knows, as a tensor, of the numbers in [first, last).
            size: int64 scalar tensor, how many items there are. Defaults to `None`,
                unknown, and nothing is replaced.
        """

        def examine(first, last):
            return numpy_function(
                self._examine, [first, items_between(first, last)], tf.int64
            )

        def report():
            return numpy_function(self._broken.report, [], tf.int64)

        image_spec = tf.TensorSpec(
            self.pixel_format.image_shape, self.pixel_format.dtype
        )
        label_spec = tf.TensorSpec((), tf.int64)
        decoded = decode_all(
            items,
            lambda *item: decode(self._decoder.decode, *item),
            (image_spec, label_spec) if self._has_labels else image_spec,
            examine,
            report,
        )
        if size is None or not self._counted:
            return decoded
        return decoded.concatenate(decoded).take(size)

    def readable(self, elements, size):
        """The numbers of the images that can be read, found by reading all of them.

        Args:
            elements: dataset of all `elements`.
            size: int, how many items there are.
        """
        if size > WORTH_A_LINE:
            logging.warning(
                "All %d images of %s are read once, to count those that can be.",
                size,
                self._broken.where,
            )
        self._gaps = []
        with unwrapped():
            for _ in elements:
                pass
        broken, self._gaps, self._counted = set(self._gaps), None, True
        return [number for number in range(size) if number not in broken]

    def _examine(self, first, items):
        if self._gaps is not None:
            self._gaps += range(first, first + len(items))
        return self._broken.examine(items)

    def _wanted_format(self, items, pixel_format, where):
        """The requested format, with the channels that the headers call for."""
        if pixel_format.channels is not None:
            return pixel_format

        def of(item):
            try:
                with self._open(item) as file:
                    return channels_of(file)
            except (ValueError, OSError):
                return None

        channels, converts = choose_channels(items, of, where)
        return dataclasses.replace(
            pixel_format, channels=channels, converts_channels=converts
        )

    def _first_readable(self, items, wanted, max_pixels):
        """The decoder that the first readable image calls for, and that image."""
        for item in itertools.islice(items, TRIED_FIRST):
            name, read_bytes = self._read(item)
            try:
                content = read_bytes()
                raw = read_picture(
                    content,
                    channels=wanted.channels,
                    max_pixels=max_pixels,
                )
                pixel_format = wanted.resolve(raw.dtype, raw.shape[2])
                decoder = Decoder(pixel_format, max_pixels)
                return decoder, decoder.read(content)
            except (ValueError, OSError) as error:
                self._broken.add(name, _reason(error))
        raise ValueError(
            f"None of the first {TRIED_FIRST} images can be read. "
            f"{self._broken.summary()}"
        )

    def _explain(self, item):
        """`(name, what is wrong with the image)`."""
        name, read_bytes = self._read(item)
        try:
            self._decoder.read(read_bytes())
        except (ValueError, OSError) as error:
            return name, _reason(error)
        return name, "cannot be decoded by TensorFlow, though Pillow can; save it anew"


def _reason(error):
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    return str(error)
