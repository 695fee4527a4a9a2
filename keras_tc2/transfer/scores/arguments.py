"""What every transferability score asks of its arrays."""

import numpy as np

from keras_tc2.transfer.features.labelled_features import (
    checked_features,
    checked_labels,
)


def checked_target(features, labels, *, name="features"):
    """Returns float64 features `(N, D)` and labels `(N,)` of at least two classes.

    Raises:
        ValueError: if they are not that; `name` is the argument that it names.
    """
    features = checked_features(name, features).astype("float64")
    labels = checked_labels(labels, len(features))
    if len(np.unique(labels)) < 2:
        raise ValueError(
            "`labels` must be of at least two classes. Received only "
            f"{labels[0].item()!r}."
        )
    return features, labels
