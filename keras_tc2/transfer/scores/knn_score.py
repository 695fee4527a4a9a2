"""kNN score: leave-one-out neighbours on the target images alone, no split needed."""

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.cosine import nearest, unit_rows
from keras_tc2.transfer.protocols.knn import weighted_vote
from keras_tc2.transfer.scores.arguments import checked_target


def knn_score(
    features: Array, labels: Array, *, k: int = 20, temperature: float = 0.07
) -> float:
    """Share of target images whose nearest others vote for their class.

    The vote of `transfer.knn_accuracy`, of each image's `k` nearest others. It needs
    neither a source head nor any training, so it fits self-supervised encoders. Higher
    is better.

    Args:
        features: array `(N, D)` of target images.
        labels: array `(N,)`.
        k: int. Neighbours, at most N − 1. Defaults to `20`.
        temperature: float > 0. Sharpness of the weights. Defaults to `0.07`.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: if the arrays do not fit together.

    References:
        - [1] Wu et al., 2018, arXiv 1805.01978, section 3.4
    """
    checks.integer("k", k)
    checks.positive("temperature", temperature)
    features, labels = checked_target(features, labels)
    units = unit_rows(features)
    similarities, neighbours = nearest(units, units, k + 1)
    keep = neighbours != np.arange(len(units))[:, None]
    # Among many equal images an image may miss its own list: its last entry goes.
    keep[keep.all(axis=1), -1] = False
    shape = (len(units), neighbours.shape[1] - 1)
    _, ids = np.unique(labels, return_inverse=True)
    predictions = weighted_vote(
        similarities[keep].reshape(shape),
        ids[neighbours[keep].reshape(shape)],
        temperature,
    )
    return float(np.mean(predictions == ids))
