"""RandomAccess: images that can be read by number, so that shuffling is complete."""

import tensorflow as tf

from keras_tc2.data.reading_errors import check


class RandomAccess:
    """A source of `size` images that are read in whatever order is asked for.

    `load` puts one behind the dataset that it returns, where the source allows.
    `two_views` then reads every epoch in a new permutation of all images, instead of
    filling a shuffle buffer with decoded ones.

    Args:
        size: int, the number of images.
        image_shape: `(height, width, channels)` of the images; of the first one, where
            they may differ.

    Attributes:
        class_names: list of str, what the numbers of classes stand for, or `None`.
    """

    class_names = None

    def __init__(self, size, image_shape):
        self.size = size
        self.image_shape = tuple(image_shape)

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
        """All elements in their order, as a dataset that remembers this source."""
        dataset = self.all_elements()
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(self.size))
        dataset._keras_tc2_random_access = self
        dataset._keras_tc2_class_names = self.class_names
        return dataset


def random_access_of(dataset):
    """The source behind a dataset that `load` returned, or `None`."""
    return getattr(dataset, "_keras_tc2_random_access", None)


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
