"""Clustering: whether the classes are groups of features that no label points at."""

from typing import Any

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.cosine import unit_rows
from keras_tc2.transfer.features.labelled_features import checked
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


def cluster_nmi(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    *,
    num_clusters: int | None = None,
    num_starts: int = 4,
    seed: int = 0,
) -> float:
    """Normalised mutual information of k-means clusters and the true classes.

    k-means groups the l2-normalised train features without their labels; each test
    image joins the nearest centre, and mutual information is taken between centres
    and test labels, over the mean of the two entropies [1].

    Args:
        train_features: array `(N, D)`.
        train_labels: array `(N,)`; only their number of classes is used.
        test_features: array `(M, D)`.
        test_labels: array `(M,)`.
        num_clusters: int. Defaults to `None`, the number of train classes.
        num_starts: int. Runs of k-means, the tightest of which counts. Defaults to
            `4`.
        seed: int. Draws the first centres. Defaults to `0`.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: if the arrays do not fit together, or there are more clusters than
            train images.

    References:
        - [1] Strehl and Ghosh, 2002, Journal of Machine Learning Research 3, with the
          arithmetic mean
    """
    import threadpoolctl
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    train_features, train_labels, test_features, test_labels = checked(
        train_features, train_labels, test_features, test_labels
    )
    if num_clusters is None:
        num_clusters = len(np.unique(train_labels))
    checks.integer("num_clusters", num_clusters, at_least=2)
    checks.integer("num_starts", num_starts)
    if num_clusters > len(train_features):
        raise ValueError(
            f"{num_clusters} clusters need as many train images. Received "
            f"{len(train_features)}."
        )
    kmeans = KMeans(num_clusters, n_init=num_starts, random_state=seed)
    with threadpoolctl.threadpool_limits(1):
        kmeans.fit(unit_rows(train_features))
        clusters = kmeans.predict(unit_rows(test_features))
    return float(normalized_mutual_info_score(test_labels, clusters))


class Clustering(Protocol):
    """The protocol `"clustering"`: `cluster_nmi` as a row of a report."""

    function = staticmethod(cluster_nmi)

    def __call__(self, downstream: Any) -> list[Score]:
        """One score, of the metric `"nmi"`."""
        nmi = cluster_nmi(*downstream.arrays, seed=downstream.seed, **self.options)
        return [Score("clustering", nmi, metric="nmi")]
