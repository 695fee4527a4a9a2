"""The batches of images that an epoch consists of, before they are augmented."""

import tensorflow as tf
from absl import logging

from keras_tc2.data.pipeline.epochs import fold_in, fold_seed, permutation, shuffled
from keras_tc2.data.pipeline.view_dataset import WHOLE
from keras_tc2.data.reading.pixel_format import PixelFormat
from keras_tc2.data.sources.array_source import ArrayImages, checked_images
from keras_tc2.data.sources.image_dataset import (
    ImageDataset,
    batch_images,
    without_label,
)

ORDER = 0


def image_batches(images, *, batch_size, seed, shuffle, shuffle_buffer):
    """How to make the image batches of an epoch, and how many there are.

    Args:
        images: array or unbatched dataset, or a list of them, see `two_views`; so are
            the others.

    Returns:
        `(batches_of, num_batches)`: a function of the epoch and the first batch, int64
        tensors, and a `Share`, that gives a dataset of that share of the batches,
        `(share.size_of(batch_size), H, W, C)`; and the number of batches, or `None`
        if it is not known before the images have been read.
    """
    if not isinstance(images, list):
        return _of_source(
            images,
            batch_size=batch_size,
            shuffle=shuffle,
            shuffle_buffer=shuffle_buffer,
            order_seed=lambda epoch: fold_seed(seed, epoch, ORDER),
        )
    _check_divisible(images, batch_size)
    parts = [
        _of_source(
            source,
            batch_size=batch_size // len(images),
            shuffle=shuffle,
            shuffle_buffer=shuffle_buffer,
            order_seed=lambda epoch, place=place: fold_in(
                fold_seed(seed, epoch, ORDER), place
            ),
        )
        for place, source in enumerate(images)
    ]
    return _side_by_side(parts)


def num_sources(images):
    """How many sources a list stands for; 1 for anything else."""
    return len(images) if isinstance(images, list) else 1


def num_images(images):
    """How many images there are, a list of it for a list; `None` if not known."""
    if isinstance(images, list):
        return [num_images(source) for source in images]
    if not isinstance(images, tf.data.Dataset):
        return len(images)
    number = int(images.cardinality())
    return None if number < 0 else number


def _side_by_side(parts):
    """`image_batches` whose batches hold a block of each of several sources."""
    _check_same_images([batches_of for batches_of, _ in parts])

    def batches_of(epoch, first_batch, share):
        blocks = [part(epoch, first_batch, share) for part, _ in parts]
        return tf.data.Dataset.zip(tuple(blocks)).map(
            lambda *blocks: _replica_by_replica(blocks, share.count)
        )

    numbers = [number for _, number in parts]
    return batches_of, None if None in numbers else min(numbers)


def _replica_by_replica(blocks, count):
    """The blocks of a batch, so ordered that each of `count` replicas has them all."""
    image_shape = blocks[0].shape[1:]
    parts = [tf.reshape(block, (count, -1, *image_shape)) for block in blocks]
    size = sum(block.shape[0] for block in blocks)
    return tf.reshape(tf.concat(parts, axis=1), (size, *image_shape))


def _check_divisible(sources, batch_size):
    """Raises `ValueError` if a batch has no equal block for each source."""
    if not sources or batch_size % len(sources):
        raise ValueError(
            "A list of sources must not be empty, and their number must divide "
            f"`batch_size`, so that each fills an equal block. Received: {len(sources)}"
            f" sources, batch_size={batch_size}"
        )


def _check_same_images(functions):
    """Raises `ValueError` if sources differ in the size or type of their images."""
    specs = [_spec_of(batches_of) for batches_of in functions]
    if any(spec != specs[0] for spec in specs):
        received = ", ".join(f"{spec.shape[1:]} {spec.dtype.name}" for spec in specs)
        raise ValueError(
            "The sources of a list must have images of one size and type: give `load` "
            f"the `image_size`. Received: {received}"
        )


def _spec_of(batches_of):
    """The `element_spec` of the dataset that a function makes within another."""
    specs = []

    @tf.function(autograph=False)
    def trace():
        start = tf.constant(0, tf.int64)
        specs.append(batches_of(start, start, WHOLE).element_spec)

    trace.get_concrete_function()
    return specs[0]


def _of_source(images, *, batch_size, shuffle, shuffle_buffer, order_seed):
    """`image_batches` of one source, in an order drawn from `order_seed(epoch)`."""
    source = _source_of(images)
    if source is None:
        return _of_stream(images, batch_size, shuffle and shuffle_buffer, order_seed)
    num_batches = _num_batches(source.size, batch_size)

    def batches_of(epoch, first_batch, share):
        indices = (
            permutation(source.size, order_seed(epoch))
            if shuffle
            else tf.range(source.size, dtype=tf.int64)
        )
        batches = tf.reshape(indices[: num_batches * batch_size], (-1, batch_size))
        indices = tf.reshape(share.of(batches[first_batch:], axis=1), (-1,))
        return source.image_batches(indices, share.size_of(batch_size))

    return batches_of, num_batches


def _source_of(images):
    """The `ImageSource` of an array or a dataset; `None` of one without."""
    if isinstance(images, tf.data.Dataset):
        return images.source if isinstance(images, ImageDataset) else None
    if isinstance(images, str | bytes) or not hasattr(images, "__getitem__"):
        raise TypeError(
            "`images` must be an array or an unbatched dataset, such as "
            "`keras_tc2.data.load(name)` gives, or a list of them. Received: "
            f"{type(images).__name__}"
        )
    images = checked_images(images)
    pixel_format = PixelFormat().resolve(images.dtype, images.shape[-1])
    return ArrayImages(images, pixel_format)


def _of_stream(images, batch_size, shuffle_buffer, order_seed):
    """`image_batches` of a dataset that can only be read from its beginning."""
    is_plain = not isinstance(images, ImageDataset)
    images = images.map(without_label)
    spec = images.element_spec
    if spec.shape.rank != 3 or not (
        spec.dtype.is_floating or spec.dtype in (tf.uint8, tf.uint16)
    ):
        raise ValueError(
            "A dataset must yield single images (height, width, channels), uint8, "
            "uint16 or float in [0, 1]; unbatch it, or cast its images. Received: "
            f"dtype {spec.dtype.name}, shape {spec.shape}"
        )
    image_shape = tuple(spec.shape)
    if not spec.shape.is_fully_defined():
        first = next(iter(images), None)
        if first is None:
            raise ValueError("The dataset holds no images.")
        image_shape = tuple(first.shape)
    size = int(images.cardinality())
    if size == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "A dataset must end, so that there are epochs: leave out `repeat()`."
        )
    known = size != tf.data.UNKNOWN_CARDINALITY
    if is_plain and shuffle_buffer and (not known or size > shuffle_buffer):
        logging.warning(
            "These images are a plain tf.data.Dataset, which cannot be read by number: "
            "they are shuffled through a buffer of %d, not completely. Sorted images "
            "need a larger `shuffle_buffer`, or `take`, `skip` and the like of what "
            "`data.load` returned.",
            shuffle_buffer,
        )

    def batches_of(epoch, first_batch, share):
        ordered = images
        if shuffle_buffer:
            ordered = shuffled(images, shuffle_buffer, order_seed(epoch))
        batches = batch_images(ordered, image_shape, batch_size).skip(first_batch)
        return batches.map(lambda batch: share.of(batch, axis=0))

    return batches_of, _num_batches(size, batch_size) if known else None


def _num_batches(size, batch_size):
    """How many whole batches there are, at least one."""
    if size < batch_size:
        raise ValueError(
            "An epoch must have at least one batch: take a smaller `batch_size`. "
            f"Received: batch_size={batch_size} for {size} images"
        )
    return size // batch_size
