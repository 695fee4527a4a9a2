"""The batches that a callback looks at, taken without a trace in the training."""

import itertools

import tensorflow as tf

from keras_tc2.data.pipeline.view_dataset import ViewDataset


def held_batch(views):
    """The first of `held_batches`."""
    return held_batches(views, 1)[0]


def held_batches(views, number):
    """The first batches of views, a list of tuples of tensors.

    Of a dataset of `data.two_views` they are those of epoch 0, and of the next if these
    are too few, asked for by their numbers: an iterator would count as an epoch, and
    training would go on with the next.

    Args:
        views: `tf.data.Dataset` of tuples of views, or such a tuple, one batch.
        number: int >= 1, of batches; there are fewer where the dataset ends before.

    Raises:
        ValueError: if there is no batch in it.
    """
    if isinstance(views, tuple | list):
        return [tuple(tf.convert_to_tensor(view) for view in views)]
    if isinstance(views, ViewDataset):
        if views.order:
            views = views.from_step(0)
        else:
            zero = tf.data.Dataset.from_tensors(tf.constant(0, "int64"))
            views = zero.flat_map(views.stream.epoch)
    batches = list(itertools.islice(views, number))
    if batches:
        return batches
    raise ValueError(
        "`views` must give a batch to look at, such as those that `fit` is given. "
        "Received: a dataset without batches"
    )
