"""LogME: how well a Bayesian linear model on the features explains the labels."""

import numpy as np

from keras_tc2.annotations import Array
from keras_tc2.transfer.scores.arguments import checked_target


def log_me(
    features: Array,
    labels: Array,
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-8,
) -> float:
    """Mean log evidence per image, over classes and images.

    For each class the one-hot target y is modelled as y = F w + noise, w ~ N(0, I/α),
    noise ~ N(0, I/β), without intercept; the evidence, with w integrated out, is
    maximised over α and β by MacKay's fixed-point iteration (algorithm 3 of [2]).
    Higher is better.

    Args:
        features: array `(N, D)` of target images.
        labels: array `(N,)`.
        max_iterations: int. Defaults to `100`.
        tolerance: float. Relative change of α/β at which it stops. Defaults to `1e-8`.

    Returns:
        Float, nats per image.

    Raises:
        ValueError: if the arrays do not fit together.

    References:
        - [1] You et al., 2021, arXiv 2102.11005, section 4
        - [2] You et al., 2022, arXiv 2110.10545, algorithm 3
    """
    features, labels = checked_target(features, labels)
    left, singular_values, _ = np.linalg.svd(features, full_matrices=False)
    evidences = [
        _evidence(
            left,
            singular_values**2,
            (labels == value).astype("float64"),
            features.shape[1],
            max_iterations,
            tolerance,
        )
        for value in np.unique(labels)
    ]
    return float(np.mean(evidences))


def _evidence(left, squares, target, dim, max_iterations, tolerance):
    """Largest log evidence per image of one target, from F's singular vectors."""
    number = len(target)
    projections = (left.T @ target) ** 2
    outside = max(target @ target - projections.sum(), 0.0)
    alpha = beta = 1.0
    for _ in range(max_iterations):
        ratio = alpha / beta
        effective = np.sum(squares / (squares + ratio))
        weight_norm = np.sum(squares * projections / (squares + ratio) ** 2)
        residual = np.sum(projections * (ratio / (squares + ratio)) ** 2) + outside
        # Features that are zero leave both at zero, and the evidence without them.
        alpha = max(effective, 1e-12) / max(weight_norm, 1e-12)
        beta = max(number - effective, 1e-12) / max(residual, 1e-12)
        if abs(alpha / beta - ratio) <= tolerance * ratio:
            break
    ratio = alpha / beta
    weight_norm = np.sum(squares * projections / (squares + ratio) ** 2)
    residual = np.sum(projections * (ratio / (squares + ratio)) ** 2) + outside
    determinant = np.sum(np.log(alpha + beta * squares))
    determinant += (dim - len(squares)) * np.log(alpha)
    evidence = (
        dim * np.log(alpha)
        + number * np.log(beta / (2 * np.pi))
        - determinant
        - beta * residual
        - alpha * weight_norm
    ) / 2
    return evidence / number
