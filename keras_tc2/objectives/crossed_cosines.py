"""How far each view foretells the target of the other, of BYOL and SimSiam."""

from keras import ops

from keras_tc2.objectives.inputs import check_alike
from keras_tc2.precision import l2_normalize


def crossed_cosines(predictions_1, predictions_2, targets_1, targets_2):
    """Mean over the batch of cos(p1, t2) + cos(p2, t1), a scalar in [−2, 2].

    All are `(batch, dim)`; no gradient flows into targets.

    Raises:
        ValueError: if the four are not of one shape.
    """
    check_alike(
        {
            "predictions_1": predictions_1,
            "predictions_2": predictions_2,
            "targets_1": targets_1,
            "targets_2": targets_2,
        }
    )
    return ops.mean(
        _cosines(predictions_1, targets_2) + _cosines(predictions_2, targets_1)
    )


def _cosines(predictions, targets):
    targets = l2_normalize(ops.stop_gradient(targets))
    return ops.sum(l2_normalize(predictions) * targets, axis=-1)
