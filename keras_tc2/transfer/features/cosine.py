"""Cosine neighbours: rows of length one, and the nearest of them, in pieces."""

import numpy as np
import tensorflow as tf

from keras_tc2.precision import rounded_for_ranking

# Similarities held at once: 512 × 8192 float32 numbers are 16 MB.
QUERY_CHUNK = 512
TRAIN_CHUNK = 8192


def unit_rows(features):
    """Float32 features `(N, D)` with every row scaled to length one; zeros stay."""
    features = np.asarray(features, "float32")
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, np.finfo("float32").tiny)


def nearest(train, queries, k):
    """The `k` rows of `train` with the largest inner product, largest first.

    Inner products are rounded to multiples of 2⁻¹⁶. Of equal ones the earlier row
    comes first, however `train` is cut in pieces.
    Memory grows with `N + M·k`, never with `N·M`.

    Args:
        train: float32 array `(N, D)`.
        queries: float32 array `(M, D)`.
        k: int. All `N` rows are ranked when it is larger than `N`.

    Returns:
        Inner products `(M, min(k, N))` and row numbers of the same shape.
    """
    pieces = [
        _nearest(train, queries[start : start + QUERY_CHUNK], k)
        for start in range(0, len(queries), QUERY_CHUNK)
    ]
    similarities, neighbours = zip(*pieces, strict=True)
    return np.concatenate(similarities), np.concatenate(neighbours)


def _nearest(train, queries, k):
    similarities = np.zeros((len(queries), 0), "float32")
    neighbours = np.zeros((len(queries), 0), "int64")
    for start in range(0, len(train), TRAIN_CHUNK):
        piece = rounded_for_ranking(queries @ train[start : start + TRAIN_CHUNK].T)
        values, columns = tf.math.top_k(piece, min(k, piece.shape[1]))
        similarities = np.concatenate([similarities, values.numpy()], axis=1)
        neighbours = np.concatenate([neighbours, start + columns.numpy()], axis=1)
        values, columns = tf.math.top_k(similarities, min(k, similarities.shape[1]))
        similarities = values.numpy()
        neighbours = np.take_along_axis(neighbours, columns.numpy(), axis=1)
    return similarities, neighbours
