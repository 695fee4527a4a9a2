"""What every protocol on features asks of its four arrays."""

import numpy as np


def checked(train_features, train_labels, test_features, test_labels):
    """Returns the four as arrays: float32 `(N, D)` features, 1-D labels.

    Raises:
        ValueError: if features are not `(N, D)`, a split is empty, features and
            labels differ in number, the splits differ in `D` or in whether labels are
            names, a feature is NaN or infinite, or train holds fewer than two classes.
    """
    train_features, train_labels = _split("train", train_features, train_labels)
    test_features, test_labels = _split("test", test_features, test_labels)
    if train_features.shape[1] != test_features.shape[1]:
        raise ValueError(
            "Train and test features must have the same dimension. Received: "
            f"{train_features.shape[1]} (train) and {test_features.shape[1]} (test). "
            "Extract both with the same encoder."
        )
    check_same_kind(train_labels, test_labels)
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


def checked_labels(labels, num_images, *, name="labels"):
    """Returns labels as an array `(N,)`; `(N, 1)` loses its axis, bytes become text.

    Raises:
        ValueError: if they are not one for each image; `name` is the argument that it
            names.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (num_images,):
        raise ValueError(
            f"`{name}` must hold one label for each of the {num_images} images, (N,). "
            f"Received: shape {labels.shape}. Of one-hot rows take "
            "`np.argmax(labels, axis=1)`."
        )
    if labels.dtype.kind in "OS":
        labels = np.array([x.decode() if isinstance(x, bytes) else x for x in labels])
    return labels


def check_same_kind(train_labels, test_labels):
    """Raises `ValueError` if labels are names in the one and numbers in the other."""
    kinds = [
        "names" if labels.dtype.kind == "U" else "numbers"
        for labels in (train_labels, test_labels)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(
            "Labels of train and test must be both names or both numbers. Received: "
            f"{kinds[0]} in train, {kinds[1]} in test"
        )


def _split(split, features, labels):
    features = checked_features(f"{split}_features", features)
    return features, checked_labels(labels, len(features), name=f"{split}_labels")
