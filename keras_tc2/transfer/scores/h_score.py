"""H-score: how far apart the class means lie, in units of the features' spread."""

import numpy as np

from keras_tc2.annotations import Array
from keras_tc2.transfer.scores.arguments import checked_target


def h_score(features: Array, labels: Array) -> float:
    """Trace of the inverse feature covariance times the covariance of class means.

    Definition 2 of [1]. The covariance is inverted on the directions that the features
    span. Higher is better.

    Args:
        features: array `(N, D)` of target images.
        labels: array `(N,)`.

    Returns:
        Float in [0, min(D, classes − 1)].

    Raises:
        ValueError: if the arrays do not fit together.

    References:
        - [1] Bao et al., 2019, "An information-theoretic approach to transferability in
          task transfer learning", ICIP
    """
    features, labels = checked_target(features, labels)
    centred = features - features.mean(axis=0)
    classes, ids = np.unique(labels, return_inverse=True)
    means = np.stack([centred[ids == i].mean(axis=0) for i in range(len(classes))])
    between = means[ids]
    covariance = centred.T @ centred / len(centred)
    inverse = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    return float(np.trace(inverse @ (between.T @ between / len(between))))
