"""The replicas of a `tf.distribute` strategy: how many, and sums over them."""

import tensorflow as tf


def num_replicas():
    """How many replicas compute this together; 1 outside of a step."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(tensors):
    """The sum of a list of tensors over all replicas, the same on each."""
    if num_replicas() == 1:
        return list(tensors)
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))
