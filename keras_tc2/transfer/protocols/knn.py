"""Weighted k-nearest-neighbour classification of features: no training at all."""

from typing import Any

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.cosine import nearest, unit_rows
from keras_tc2.transfer.features.labelled_features import checked
from keras_tc2.transfer.features.ties import first_largest
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


def knn_accuracy(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    *,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """Accuracy of the weighted k-nearest-neighbour vote on cosine similarity.

    Each of the `k` most similar train images votes for its class with the weight
    `exp(similarity / temperature)` [1]. Similarities are computed in pieces: memory
    grows with train plus test, never with train × test.

    Args:
        train_features: array `(N, D)`.
        train_labels: array `(N,)`.
        test_features: array `(M, D)`.
        test_labels: array `(M,)`.
        k: int >= 1. Neighbours that vote; all of train when it holds fewer. Defaults
            to `20`.
        temperature: float > 0. Sharpness of the weights. Defaults to `0.07`.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: if the arrays do not fit together, or hold NaN.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import transfer

    generator = np.random.default_rng(0)
    labels = np.arange(100) % 2
    features = generator.normal(size=(100, 8)) + 3 * labels[:, None]
    transfer.knn_accuracy(features[:80], labels[:80], features[80:], labels[80:])
    ```

    References:
        - [1] Wu et al., 2018, arXiv 1805.01978, section 3.4
    """
    correct = knn_correct(
        train_features,
        train_labels,
        test_features,
        test_labels,
        k=k,
        temperature=temperature,
    )
    return float(np.mean(correct))


def knn_correct(
    train_features, train_labels, test_features, test_labels, *, k, temperature
):
    """Whether each test image gets its class, `(M,)`; arguments as `knn_accuracy`."""
    checks.integer("k", k)
    checks.positive("temperature", temperature)
    train_features, train_labels, test_features, test_labels = checked(
        train_features, train_labels, test_features, test_labels
    )
    classes, train_ids = np.unique(train_labels, return_inverse=True)
    similarities, neighbours = nearest(
        unit_rows(train_features), unit_rows(test_features), k
    )
    votes = weighted_vote(similarities, train_ids[neighbours], temperature)
    return classes[votes] == test_labels


def weighted_vote(similarities, class_ids, temperature):
    """The class with the largest sum of `exp(similarity / temperature)`.

    Args:
        similarities: array `(M, k)`, largest first.
        class_ids: int array `(M, k)`, the class of each neighbour, from 0.
        temperature: float > 0.

    Returns:
        Int array `(M,)`; of equal votes the smaller class.
    """
    # Relative to the nearest, so that a small temperature cannot overflow.
    exponents = (similarities - similarities[:, :1]).astype("float64") / temperature
    votes = np.zeros((len(class_ids), class_ids.max() + 1))
    rows = np.arange(len(class_ids))[:, None]
    np.add.at(votes, (rows, class_ids), np.exp(exponents))
    return first_largest(votes)


class KNN(Protocol):
    """The protocol `"knn"`: `knn_accuracy` as a row of a report."""

    function = staticmethod(knn_accuracy)

    def __call__(self, downstream: Any) -> list[Score]:
        """One score."""
        correct = knn_correct(*downstream.arrays, **self.options)
        return [Score("knn", float(np.mean(correct)), per_image=correct)]
