"""Which of several equal numbers wins, whatever the processor."""

import numpy as np


def first_largest(scores, tolerance=1e-6):
    """The column of each row's largest score; of equal ones the first.

    Scores count as equal within `tolerance` of the largest: that is where sums in
    another order, on another processor, end.

    Args:
        scores: float array `(N, C)`.
        tolerance: float >= 0. Relative to the largest absolute score of the row.

    Returns:
        Int array `(N,)`.
    """
    scores = np.asarray(scores)
    largest = scores.max(axis=1, keepdims=True)
    reach = tolerance * np.abs(scores).max(axis=1, keepdims=True)
    return np.argmax(scores >= largest - reach, axis=1)
