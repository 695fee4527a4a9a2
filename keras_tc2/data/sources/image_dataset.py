"""ImageDataset: what `load` returns, images that can be read by number if possible."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tc2.annotations import Array
from keras_tc2.data.reading.reading_errors import ReadDataset, check


class ImageDataset(ReadDataset):
    """What `load` returns: an unbatched `tf.data.Dataset` that knows its source.

    Iterated, mapped or batched it is a dataset like any other. Images of arrays, files
    and Hugging Face's `datasets` can moreover be read by number, so that `two_views`
    shuffles them completely, without a buffer. `read`, `take`, `skip` and `shard`
    choose among them; what they give is an `ImageDataset` again, as is what `prefetch`
    and `with_options` make. `map`, `filter` and the like give a plain dataset, which
    can only be read from its beginning.

    Args:
        dataset: unbatched `tf.data.Dataset`.
        source: `ImageSource`, or `None` if images cannot be read by number. Defaults
            to `None`.
        class_names: list of str, what the numbers of classes stand for, or `None`.
            Defaults to `None`.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import data

    pixels = np.random.randint(0, 256, (10, 8, 8, 3), "uint8")
    images = data.load((pixels, np.arange(10)), labels=True)
    order = np.random.default_rng(0).permutation(len(images))
    held_out, train = images.read(order[:3]), images.read(order[3:])
    assert len(train) == 7 and set(held_out.labels) == set(order[:3])
    ```
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        source: "ImageSource | None" = None,
        class_names: list[str] | None = None,
    ) -> None:
        super().__init__(dataset)
        self.source = source
        self.class_names = class_names

    @property
    def labels(self) -> np.ndarray | None:
        """int64 array `(N,)` of all labels, without reading an image.

        `None` if they were not asked for, or stand beside images that can only be read
        from the beginning.
        """
        return None if self.source is None else self.source.labels

    def read(self, numbers: Sequence[int] | Array) -> "ImageDataset":
        """The images of these numbers, in their order.

        Args:
            numbers: ints `(n,)`, each in [0, len(images)); some may come twice.

        Raises:
            ValueError: if there is no such number, or the images cannot be read by
                number.
        """
        if self.source is None:
            raise ValueError(
                "These images can only be read from their beginning, as those of TFDS, "
                "TFRecord files and a `tf.data.Dataset`: choose by `take` and `skip`. "
                "Or load them into memory, `data.load(data.as_arrays(images))`."
            )
        chosen = np.asarray(numbers)
        if chosen.size == 0:
            chosen = chosen.astype("int64")
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise ValueError(
                "`numbers` must be a list or array (n,) of ints; of a mask, they are "
                "`np.flatnonzero(mask)`. Received: dtype "
                f"{chosen.dtype}, shape {chosen.shape}"
            )
        size = self.source.size
        wrong = chosen[(chosen < 0) | (chosen >= size)]
        if len(wrong):
            raise ValueError(
                f"There are {size} images, with the numbers 0 to {size - 1}. Received: "
                f"{wrong[0]}"
            )
        return self._of_numbers(chosen)

    def take(self, count: Any, name: str | None = None) -> ReadDataset:
        """The first images, as in any dataset; all for -1."""
        dataset = super().take(count, name)
        return self._part(dataset, lambda all, n: all[:n] if n >= 0 else all, count)

    def skip(self, count: Any, name: str | None = None) -> ReadDataset:
        """Without the first images, as in any dataset; without all for -1."""
        dataset = super().skip(count, name)
        return self._part(dataset, lambda all, n: all[n:] if n >= 0 else all[:0], count)

    def shard(
        self, num_shards: Any, index: Any, name: str | None = None
    ) -> ReadDataset:
        """Every `num_shards`-th image from number `index` on, as in any dataset."""
        dataset = super().shard(num_shards, index, name)
        return self._part(dataset, lambda all, n, i: all[i::n], num_shards, index)

    def prefetch(self, buffer_size: Any, name: str | None = None) -> "ImageDataset":
        """The same, read ahead."""
        dataset = super().prefetch(buffer_size, name)
        return ImageDataset(dataset, self.source, self.class_names)

    def with_options(
        self, options: tf.data.Options, name: str | None = None
    ) -> "ImageDataset":
        """The same, with options of `tf.data`."""
        dataset = super().with_options(options, name)
        return ImageDataset(dataset, self.source, self.class_names)

    def _part(self, dataset, choose, *counts):
        """Some of the images: by number if possible, else what `dataset` gives.

        Args:
            dataset: `tf.data.Dataset` of them.
            choose: function from all numbers and the counts to theirs.
            *counts: ints, or tensors.
        """
        counts = [tf.get_static_value(count) for count in counts]
        if any(count is None for count in counts):
            return ReadDataset(dataset)  # Tensors of a graph: not known before it runs.
        if self.source is None:
            return ImageDataset(dataset, None, self.class_names)
        numbers = choose(np.arange(self.source.size), *counts)
        if tf.executing_eagerly():
            return self._of_numbers(numbers)
        # `dataset` keeps the options, which TensorFlow does not tell within a graph.
        return ImageDataset(dataset, Subset(self.source, numbers), self.class_names)

    def _of_numbers(self, numbers):
        chosen = Subset(self.source, numbers).dataset()
        return chosen.with_options(self.options()) if tf.executing_eagerly() else chosen


class ImageSource:
    """Images, and perhaps labels, that are read in whatever order is asked for.

    Args:
        size: int, the number of images.
        image_shape: `(height, width, channels)` of the images; of the first one, where
            they may differ (of a `Subset`, the first one of its source).
        labels: int64 array `(size,)`, or `None`.
        class_names: list of str, what the numbers of classes stand for, or `None`.
    """

    def __init__(self, size, image_shape, labels=None, class_names=None):
        self.size = size
        self.image_shape = tuple(image_shape)
        self.labels = labels
        self.class_names = class_names

    def elements(self, indices):
        """Unbatched dataset of the elements whose numbers are `indices`.

        Args:
            indices: int64 tensor `(n,)`, each in [0, size).
        """
        raise NotImplementedError

    def image_batches(self, indices, batch_size):
        """Dataset of image batches, without labels; the partial last one dropped."""
        images = self.elements(indices).map(without_label)
        return batch_images(images, self.image_shape, batch_size)

    def all_elements(self):
        """Unbatched dataset of all elements in their order."""
        return self.elements(tf.range(self.size, dtype=tf.int64))

    def dataset(self):
        """All elements in their order."""
        dataset = self.all_elements()
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(self.size))
        return ImageDataset(dataset, self, self.class_names)


class Subset(ImageSource):
    """Some images of a source.

    Args:
        source: `ImageSource`.
        numbers: int array `(n,)`, which of its images, in which order.
    """

    def __init__(self, source, numbers):
        labels = None if source.labels is None else source.labels[numbers]
        super().__init__(len(numbers), source.image_shape, labels, source.class_names)
        self._source = source
        with tf.device("CPU"):
            self._numbers = tf.constant(numbers, tf.int64)

    def elements(self, indices):
        """See the base class."""
        return self._source.elements(tf.gather(self._numbers, indices))

    def image_batches(self, indices, batch_size):
        """See the base class."""
        images = self.elements(indices).map(without_label)
        if not images.element_spec.shape.is_fully_defined():
            return batch_images(images, self._first_shape(), batch_size)
        return self._source.image_batches(tf.gather(self._numbers, indices), batch_size)

    def _first_shape(self):
        """The shape of its own first image; the source's first may have another."""
        with tf.init_scope():
            return tuple(tf.nest.flatten(next(iter(self.dataset())))[0].shape)


def without_label(*element):
    """The image of an element `image` or `(image, label)`."""
    return element[0]


def batch_images(images, image_shape, batch_size):
    """Batches of images that must all have one shape; the partial last one dropped."""
    if not images.element_spec.shape.is_fully_defined():
        images = images.map(lambda image: _of_shape(image, image_shape))
    return images.batch(batch_size, drop_remainder=True)


def _of_shape(image, image_shape):
    """The image, if it has the shape of the first one; an error that says so if not."""
    same = check(
        tf.reduce_all(tf.shape(image) == image_shape),
        [
            "Images of a batch must have one size: pass `image_size` to "
            f"`keras_tc2.data.load`. The first image is {image_shape}, another is",
            tf.shape(image),
        ],
    )
    with tf.control_dependencies([same]):
        return tf.ensure_shape(image, image_shape)
