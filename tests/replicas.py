"""Several replicas on one machine."""

import tensorflow as tf


def strategy(num_replicas):
    """A `MirroredStrategy` on as many logical CPU devices; the default one for 1."""
    if num_replicas == 1:
        return tf.distribute.get_strategy()
    return mirrored(num_replicas)


def mirrored(num_replicas):
    """A `MirroredStrategy` on as many logical CPU devices, one included.

    TensorFlow names the communication of all strategies of a process alike, unless
    each is given a range of numbers of its own.
    """
    tf.distribute.MirroredStrategy._collective_key_base += 100_000
    return tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(num_replicas)])


def per_replica(of, parts):
    """A value on each replica, from a list with one a replica of a strategy."""
    return of.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )
