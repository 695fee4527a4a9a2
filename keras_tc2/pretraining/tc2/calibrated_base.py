"""The base term of calibrated embeddings."""

from keras import ops

from keras_tc2.pretraining.core.forward import call_layers, map_groups


def calibrated_outputs(parts, groups, layers, calibrate, tasks, training):
    """What `Forward.outputs` is, of calibrated features or embeddings.

    The moving statistics of the layers stay those of the uncalibrated ones.

    Args:
        parts: list of tensors `(batch, dim)`, one a view: what is calibrated.
        groups: list of ints, see `map_groups`.
        layers: the built layers from there to the outputs.
        calibrate: callable of a tensor `(views * batch, dim)` and the task of each row.
        tasks: int tensor `(batch,)`, the task of each image.
        training: bool.
    """
    weights = [v.value for layer in layers for v in layer.trainable_variables]

    def outputs(x):
        of_each = ops.concatenate([tasks] * (x.shape[0] // tasks.shape[0]), axis=0)
        return call_layers(layers, weights, calibrate(x, of_each), training=training)

    return map_groups(outputs, parts, groups)
