"""EncodedImages: what sources of encoded images share, be they files or records."""

import itertools

import tensorflow as tf

from keras_tc2.data.broken_images import BrokenImages
from keras_tc2.data.decode import Decoder, decode_all
from keras_tc2.data.python_calls import numpy_function
from keras_tc2.data.read_picture import read_picture

TRIED_FIRST = 100


class EncodedImages:
    """Decodes the encoded images of a source, and says which are broken and why.

    An item is whatever stands for one image in the source, such as a path or a number.

    Args:
        items: iterable of items, the first of which are tried, so that an image
            decides what the request leaves open.
        size: int, or `None` if it is not known.
        read: function from an item to `(name, read_bytes)`, the image as messages
            name it and a function without arguments that gives its bytes.
        request: `Request`.
        where: str, the source as messages name it.

    Attributes:
        pixel_format: `PixelFormat`, resolved.
        first_shape: `(height, width, channels)` of the first image that can be read.
    """

    def __init__(self, items, size, read, request, where):
        self._read = read
        self._has_labels = request.labels
        self._broken = BrokenImages(
            request.on_error, request.max_skipped_share, size, where, self._explain
        )
        self._decoder, first = self._first_readable(items, request)
        self.pixel_format = self._decoder.pixel_format
        size = self.pixel_format.image_size or first.shape[:2]
        self.first_shape = (*size, self.pixel_format.channels)

    def elements(self, items, decode, items_between):
        """Decoded images, in the order of the items.

        Args:
            items: dataset of tuples of tensors, one for each image.
            decode: function from `(to_image, *item)` to an image, or to
                `(image, label)`, where `to_image` turns bytes into an image.
            items_between: function from int64 tensors `first`, `last` to the items
                that `read` knows, as a tensor, of the numbers in [first, last).
        """

        def examine(first, last):
            return numpy_function(
                self._broken.examine, [items_between(first, last)], tf.int64
            )

        def report():
            return numpy_function(self._broken.report, [], tf.int64)

        image_spec = tf.TensorSpec(
            self.pixel_format.image_shape, self.pixel_format.dtype
        )
        label_spec = tf.TensorSpec((), tf.int64)
        return decode_all(
            items,
            lambda *item: decode(self._decoder.decode, *item),
            (image_spec, label_spec) if self._has_labels else image_spec,
            examine,
            report,
        )

    def _first_readable(self, items, request):
        """The decoder that the first readable image calls for, and that image."""
        for item in itertools.islice(items, TRIED_FIRST):
            name, read_bytes = self._read(item)
            try:
                content = read_bytes()
                raw = read_picture(
                    content,
                    channels=request.pixel_format.channels,
                    max_pixels=request.max_pixels,
                )
                pixel_format = request.pixel_format.resolve(raw.dtype, raw.shape[2])
                decoder = Decoder(pixel_format, request.max_pixels)
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
