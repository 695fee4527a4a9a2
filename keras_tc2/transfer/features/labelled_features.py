"""What every protocol on features asks of its four arrays."""

import numpy as np


def checked(train_features, train_labels, test_features, test_labels):
    """Returns the four as arrays: float32 `(N, D)` features, 1-D labels.

    Raises:
        ValueError: if features are not `(N, D)`, a split is empty, features and
            labels differ in number, the splits differ in `D`, a feature is NaN or
            infinite, or train holds fewer than two classes.
    """
    train_features, train_labels = _split("train", train_features, train_labels)
    test_features, test_labels = _split("test", test_features, test_labels)
    if train_features.shape[1] != test_features.shape[1]:
        raise ValueError(
            "Train and test features must have the same dimension. Received: "
            f"{train_features.shape[1]} (train) and {test_features.shape[1]} (test). "
            "Extract both with the same encoder."
        )
    if len(np.unique(train_labels)) < 2:
        raise ValueError(
            "`train_labels` must hold at least two classes. Received only "
            f"{train_labels[0]!r}."
        )
    return train_features, train_labels, test_features, test_labels


def checked_features(name, features):
    """Returns finite float32 features `(N, D)`, or raises `ValueError`."""
    features = np.asarray(features, dtype="float32")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"`{name}` must be a non-empty array (N, D). Received shape "
            f"{features.shape}. Pass images through `extract_features` first."
        )
    if not np.isfinite(features).all():
        bad = int(np.sum(~np.isfinite(features).all(axis=1)))
        raise ValueError(
            f"`{name}` holds NaN or infinite values in {bad} of {len(features)} rows: "
            "the encoder has diverged, or its input was not finite."
        )
    return features


def checked_labels(labels, num_images):
    """Returns labels as an array, or raises `ValueError` if they are not as many."""
    labels = np.asarray(labels)
    if len(labels) != num_images:
        raise ValueError(
            "There must be a label for each image. Received: "
            f"{num_images} images, {len(labels)} labels"
        )
    return labels


def _split(split, features, labels):
    features = checked_features(f"{split}_features", features)
    labels = np.asarray(labels)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"`{split}_labels` must hold one label for each of the {len(features)} "
            f"rows of `{split}_features`. Received shape {labels.shape}."
        )
    return features, labels
