"""PixelFormat: the one type, size and number of channels that a source's images get."""

import dataclasses

import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.data.reading.reading_errors import check
from keras_tc2.pixels import default_range


@dataclasses.dataclass(frozen=True)
class PixelFormat:
    """How raw pixels of a source become what `load` yields.

    Args:
        dtype: `"uint8"`, `"float32"` in [0, 1], or `None`: uint8 stays, anything finer
            becomes float32.
        channels: int, or `None`: as many as the image has.
        image_size: `(height, width)`, or `None`: as large as the image is.
        converts_channels: bool. Whether grey and colour images are turned into each
            other; if not, images of other than `channels` are an error.
        value_range: `(low, high)`, the raw values that become 0 and 1, or `None`: the
            whole range of uint8 and uint16, and [0, 1] for floats.
    """

    dtype: str | None = None
    channels: int | None = None
    converts_channels: bool = False
    image_size: tuple | None = None
    value_range: tuple | None = None

    @classmethod
    def requested(cls, *, dtype, channels, image_size, value_range):
        """The format that the arguments of `load` ask for, checked."""
        if dtype is not None:
            checks.one_of("dtype", dtype, ("uint8", "float32"))
        channels = checks.optional(checks.integer, "channels", channels)
        if image_size is not None:
            pair = isinstance(image_size, tuple | list)
            image_size = tuple(image_size) if pair else (image_size, image_size)
            if len(image_size) != 2:
                raise ValueError(
                    "`image_size` must be an integer or a pair (height, width). "
                    f"Received: image_size={image_size}"
                )
            image_size = tuple(checks.integer("image_size", x) for x in image_size)
        if value_range is not None:
            low, high = value_range
            if not low < high:
                raise ValueError(
                    "`value_range` must be a pair (low, high) with low < high. "
                    f"Received: value_range={value_range}"
                )
            value_range = (float(low), float(high))
        return cls(dtype, channels, channels is not None, image_size, value_range)

    def resolve(self, raw_dtype, raw_channels):
        """This format with what was left open taken from an image of the source."""
        raw_dtype = tf.as_dtype(raw_dtype)
        self.check_raw_dtype(raw_dtype)
        finer = raw_dtype != tf.uint8 or self.value_range is not None
        return dataclasses.replace(
            self,
            dtype=self.dtype or ("float32" if finer else "uint8"),
            channels=self.channels or raw_channels,
        )

    def check_raw_dtype(self, raw_dtype):
        """Raises `ValueError` if pixels of this type cannot be read without a range."""
        if not raw_dtype.is_integer or self.value_range is None:
            default_range(raw_dtype.name)

    def check_channels(self, have):
        """Raises `ValueError` if images of `have` channels do not fit the format."""
        if have == self.channels:
            return
        if not self.converts_channels and {have, self.channels} == {1, 3}:
            raise ValueError(
                f"has {have} channels where {self.channels} are expected: pass "
                "`channels=1` or `channels=3` to have grey and colour images turned "
                "into each other"
            )
        if {have, self.channels} != {1, 3}:
            raise ValueError(
                f"has {have} channels where {self.channels} are expected; only grey "
                "(1) and colour (3) can be turned into each other"
            )

    @property
    def image_shape(self):
        """`(height, width, channels)`; height and width may be `None`."""
        return (*(self.image_size or (None, None)), self.channels)

    def convert(self, images):
        """Pixels in this format's dtype and number of channels, not yet resized.

        Args:
            images: tensor `(..., height, width, raw_channels)`, the last one static.

        Raises:
            ValueError: if the channels cannot become those of the format.
        """
        self.check_channels(images.shape[-1])
        return self._to_dtype(match_channels(images, self.channels))

    def resize(self, images):
        """Images at `image_size`, by antialiased bilinear interpolation.

        No image leaves the range that it had.

        Args:
            images: tensor `(..., height, width, channels)`, with or without a batch.
        """
        if self.image_size is not None and images.shape[-3:-1] != self.image_size:
            resized = tf.image.resize(
                images, self.image_size, method="bilinear", antialias=True
            )
            if self.dtype == "uint8":
                low, high = 0.0, 255.0
                resized = tf.round(resized)
            else:
                # The weights do not sum to exactly 1.
                low = tf.reduce_min(images, axis=(-3, -2, -1), keepdims=True)
                high = tf.reduce_max(images, axis=(-3, -2, -1), keepdims=True)
            images = tf.cast(tf.clip_by_value(resized, low, high), self.dtype)
        return tf.ensure_shape(images, (*images.shape[:-3], *self.image_shape))

    def _to_dtype(self, image):
        if image.dtype == self.dtype and self.value_range is None:
            return image
        low, high = self.value_range or default_range(image.dtype.name)
        image = (tf.cast(image, tf.float32) - low) / (high - low)
        if self.value_range is not None:
            image = tf.clip_by_value(image, 0.0, 1.0)
        if self.dtype == "uint8":
            return tf.cast(tf.round(image * 255.0), tf.uint8)
        return image


def checked_pixels(images, value_range=None, where=()):
    """The images; where they are used, `ReadingError` if floats are out of range.

    Args:
        images: tensor. Integers are not looked at.
        value_range: if given, values need only be finite.
        where: list of strings and tensors that end the message.
    """
    if not images.dtype.is_floating:
        return images
    finite = check(
        tf.reduce_all(tf.math.is_finite(images)), ["NaN or infinite pixels", *where]
    )
    with tf.control_dependencies([finite]):
        low, high = tf.reduce_min(images), tf.reduce_max(images)
    in_range = check(
        (value_range is not None) | ((low >= 0) & (high <= 1)),
        [
            "Float images must be in [0, 1]: divide by 255, or tell `data.load` the "
            "`value_range=(low, high)`. Received: values from",
            low,
            "to",
            high,
            *where,
        ],
    )
    with tf.control_dependencies([in_range]):
        return tf.identity(images)


def match_channels(image, channels):
    """Grey to colour, or colour to grey by the weights of ITU-R 601."""
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        # `grayscale_to_rgb` knows no uint16.
        return tf.concat([image] * 3, axis=-1)
    grey = tf.image.rgb_to_grayscale(tf.cast(image, tf.float32))
    return tf.cast(tf.round(grey) if image.dtype.is_integer else grey, image.dtype)
