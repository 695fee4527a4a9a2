"""The base term of calibrated embeddings."""

from keras import ops

from keras_tc2.pretraining.forward import call_layers, map_groups


def calibrated_outputs(forward, calibrator, head, factors, tasks, training):
    """`forward.outputs`, of calibrated embeddings.

    The moving statistics of the head stay those of the uncalibrated ones.

    Args:
        forward: `Forward`.
        calibrator: `TaskCalibrator`.
        head: the built head of the objective, or `None`.
        factors: float tensor `(num_factors, dim)`.
        tasks: int tensor `(batch,)`, the task of each image.
        training: bool.
    """

    def outputs(embeddings):
        num_views = embeddings.shape[0] // tasks.shape[0]
        of_each = ops.concatenate([tasks] * num_views, axis=0)
        calibrated = calibrator.calibrate(factors, embeddings, of_each)
        if head is None:
            return calibrated
        weights = [variable.value for variable in head.trainable_variables]
        return call_layers([head], weights, calibrated, training=training)

    return map_groups(outputs, forward.embeddings, forward.groups)
