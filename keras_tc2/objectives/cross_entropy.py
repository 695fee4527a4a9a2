"""The cross-entropy of distributions across views, which DINO and SwAV share."""

from keras import ops


def cross_view_entropy(targets, log_predictions):
    """Mean of −sum_k target^(k) log prediction^(k) over pairs of unlike views.

    Args:
        targets: list of float tensors `(batch, dim)`, a distribution a row, one a
            global view.
        log_predictions: list of float tensors `(batch, dim)`, logarithms of
            distributions, one a view; the global views first.

    Returns:
        Scalar tensor, nats.
    """
    losses = [
        -ops.mean(ops.sum(target * log_prediction, axis=-1))
        for view, target in enumerate(targets)
        for other, log_prediction in enumerate(log_predictions)
        if other != view
    ]
    return sum(losses) / len(losses)
