"""NCE: how much of the target label a source label leaves open."""

import numpy as np

from keras_tc2.annotations import Array


def nce(source_labels: Array, labels: Array) -> float:
    """Negative conditional entropy −H(target label | source label).

    Section 3 of [1]; with an encoder's classes in place of labels that a person gave,
    `source_labels` are what its source head predicts for the target images. Higher is
    better.

    Args:
        source_labels: array `(N,)`.
        labels: array `(N,)`, target labels.

    Returns:
        Float <= 0, nats.

    Raises:
        ValueError: if the arrays are not `(N,)` of one length.

    References:
        - [1] Tran et al., 2019, arXiv 1908.08142, section 3
    """
    source_labels, labels = np.asarray(source_labels), np.asarray(labels)
    if labels.ndim != 1 or source_labels.shape != labels.shape or not len(labels):
        raise ValueError(
            "`source_labels` and `labels` must be arrays (N,) of one length. Received "
            f"shapes {source_labels.shape} and {labels.shape}."
        )
    _, rows = np.unique(source_labels, return_inverse=True)
    _, columns = np.unique(labels, return_inverse=True)
    joint = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(joint, (rows, columns), 1 / len(labels))
    conditional = joint / joint.sum(axis=1, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(conditional[seen])))
