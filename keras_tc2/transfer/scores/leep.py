"""LEEP: what a source classifier's outputs say about the target labels."""

import numpy as np

from keras_tc2.annotations import Array
from keras_tc2.transfer.scores.arguments import checked_target


def leep(source_probabilities: Array, labels: Array) -> float:
    """Mean log-likelihood of the target labels under the empirical predictor.

    With θ(x)_z the source head's probability of source class z, P(y, z) is the sum of
    θ(x)_z over target images of class y, divided by the number of all images, and the
    score is the mean of log Σ_z P(y | z) θ(x)_z (equation 3 of [1]). Higher is better.

    Args:
        source_probabilities: array `(N, Z)`: the source head's softmax on target
            images; rows sum to one.
        labels: array `(N,)`, target labels.

    Returns:
        Float <= 0, nats per image.

    Raises:
        ValueError: if the arrays do not fit together or rows are no probabilities.

    References:
        - [1] Nguyen et al., 2020, arXiv 2002.12462, equation 3
    """
    probabilities, labels = checked_target(
        source_probabilities, labels, name="source_probabilities"
    )
    sums = probabilities.sum(axis=1)
    if (probabilities < 0).any() or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            "`source_probabilities` must hold probabilities whose rows sum to one. "
            f"Received rows that sum to {sums.min():.3g} to {sums.max():.3g}. Apply a "
            "softmax to logits first."
        )
    classes, ids = np.unique(labels, return_inverse=True)
    joint = np.eye(len(classes))[ids].T @ probabilities / len(labels)
    marginal = np.maximum(joint.sum(axis=0), np.finfo("float64").tiny)
    likelihood = np.sum((joint / marginal)[ids] * probabilities, axis=1)
    return float(np.mean(np.log(likelihood)))
