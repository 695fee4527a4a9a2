"""The one batch that a callback looks at, taken without a trace in the training."""

import tensorflow as tf

from keras_tc2.data.view_stream import stream_of


def held_batch(views):
    """The first batch of views, as a tuple of tensors.

    Of a dataset of `data.two_views` it is that of epoch 0, asked for by its number:
    an iterator would count as an epoch, and training would go on with the next.

    Args:
        views: `tf.data.Dataset` of tuples of views, or such a tuple, one batch.

    Raises:
        ValueError: if there is no batch in it.
    """
    if isinstance(views, tuple | list):
        return tuple(tf.convert_to_tensor(view) for view in views)
    stream = stream_of(views)
    batches = views if stream is None else stream.epoch(tf.constant(0, "int64"))
    for batch in batches:
        return batch
    raise ValueError(
        "`views` must give a batch to look at, such as those that `fit` is given. "
        "Received: a dataset without batches"
    )
