"""Retrieval: whether the nearest images of a gallery are of the query's class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.precision import rounded_for_ranking
from keras_tc2.transfer.features.cosine import QUERY_CHUNK, unit_rows
from keras_tc2.transfer.features.labelled_features import checked
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


def retrieval(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    *,
    recall_at: Sequence[int] = (1, 5, 10),
) -> dict[str, Any]:
    """Recall at k and mean average precision of cosine retrieval.

    Train images are the gallery, test images the queries. Recall at k is the share
    of queries with an image of their class among the k nearest. Average precision is
    the mean, over all gallery images of the query's class, of the precision at their
    rank; of equally near images the earlier ranks first. A query whose class the
    gallery lacks counts 0 in both.

    Args:
        train_features: array `(N, D)`, the gallery.
        train_labels: array `(N,)`.
        test_features: array `(M, D)`, the queries.
        test_labels: array `(M,)`.
        recall_at: sequence of ints >= 1. Defaults to `(1, 5, 10)`.

    Returns:
        Dict: `"map"`, a float; `"recall"`, a dict from k to a float; `"per_image"`, a
        dict with `"map"` and each k: arrays `(M,)`.

    Raises:
        ValueError: if the arrays do not fit together.

    References:
        - Musgrave et al., 2020, arXiv 2003.08505, section 2
    """
    for k in recall_at:
        checks.integer("recall_at", k)
    train_features, train_labels, test_features, test_labels = checked(
        train_features, train_labels, test_features, test_labels
    )
    gallery, queries = unit_rows(train_features), unit_rows(test_features)
    parts = []
    for start in range(0, len(queries), QUERY_CHUNK):
        chunk = slice(start, start + QUERY_CHUNK)
        similarities = rounded_for_ranking(queries[chunk] @ gallery.T)
        order = np.argsort(-np.asarray(similarities), axis=1, kind="stable")
        relevant = train_labels[order] == test_labels[chunk, None]
        found = np.cumsum(relevant, axis=1)
        precision = found / np.arange(1, len(gallery) + 1)
        part: dict[str | int, Array] = {
            "map": (precision * relevant).sum(axis=1) / np.maximum(found[:, -1], 1)
        }
        for k in recall_at:
            part[k] = found[:, min(k, len(gallery)) - 1] > 0
        parts.append(part)
    per_image = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return {
        "map": float(per_image["map"].mean()),
        "recall": {k: float(per_image[k].mean()) for k in recall_at},
        "per_image": per_image,
    }


class Retrieval(Protocol):
    """The protocol `"retrieval"`: mAP and recall at k as rows of a report."""

    function = staticmethod(retrieval)

    def __call__(self, downstream: Any) -> list[Score]:
        """A score of the metric `"map"`, and one for each recall."""
        found = retrieval(*downstream.arrays, **self.options)
        per_image = found["per_image"]
        scores = [Score("retrieval", found["map"], "map", per_image=per_image["map"])]
        return scores + [
            Score(f"retrieval_recall_{k}", recall, "recall", per_image=per_image[k])
            for k, recall in found["recall"].items()
        ]
