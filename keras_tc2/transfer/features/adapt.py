"""Images of any size and channels, made to fit the encoder that will read them."""

import tensorflow as tf

from keras_tc2.data.reading.pixel_format import match_channels


def image_shape_of(encoder):
    """The `(H, W, C)` that an encoder takes, or None where it does not say.

    It is the encoder's `image_shape`, or else the input shape of a built
    `keras.Model`. A size that the encoder leaves open is None inside the tuple.
    """
    shape = getattr(encoder, "image_shape", None)
    if shape is None:
        shape = (getattr(encoder, "input_shape", None) or (None,))[1:]
    if isinstance(shape, tuple | list) and len(shape) == 3:
        return tuple(shape)
    return None


def adapt(dataset, image_shape):
    """Resizes and converts the images of `(image, label)` to `image_shape`.

    Bilinear with antialiasing; uint8 stays uint8, rounded. One channel becomes three
    by repetition, three become one by ITU-R 601 luma.

    Args:
        dataset: unbatched `tf.data.Dataset` of `(image, label)`.
        image_shape: tuple `(H, W, C)` whose entries may be None, or None: take
            everything as it comes.

    Returns:
        The dataset with images of that shape, and a sentence for the report that says
        what was done, or None if nothing was.

    Raises:
        ValueError: if the channels differ in another way than 1 and 3, or the images
            differ in size and the encoder names none.
    """
    given = tuple(dataset.element_spec[0].shape)
    if len(given) != 3:
        raise ValueError(f"Images must have the shape (H, W, C). Received: {given}")
    height, width, channels = image_shape or given
    target = (height or given[0], width or given[1], channels or given[2])
    if None in target[:2]:
        raise ValueError(
            "The images differ in size and the encoder does not say which it takes. "
            "Give it an `image_shape`, or resize the images first."
        )
    if target == given:
        return dataset, None
    if given[2] not in (target[2], None) and {given[2], target[2]} != {1, 3}:
        raise ValueError(
            f"The encoder takes images of {target[2]} channels; these have {given[2]}. "
            "Only 1 and 3 convert into one another."
        )

    def fit(image, label):
        return match_channels(_resized(image, target[:2]), target[2]), label

    note = f"images {_words(given)} adapted to {_words(target)}"
    return dataset.map(fit, tf.data.AUTOTUNE, deterministic=True), note


def _resized(image, size):
    if tuple(image.shape[:2]) == size:
        return image
    resized = tf.image.resize(tf.cast(image, "float32"), size, antialias=True)
    if image.dtype.is_integer:
        resized = tf.round(resized)
        return tf.cast(tf.clip_by_value(resized, 0, image.dtype.max), image.dtype)
    return resized


def _words(shape):
    return "×".join("?" if size is None else str(size) for size in shape)
