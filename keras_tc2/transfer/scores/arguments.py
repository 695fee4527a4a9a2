"""What every transferability score asks of its arrays."""

import numpy as np

from keras_tc2.transfer.features.labelled_features import checked_features


def checked_target(features, labels, *, name="features"):
    """Returns float64 features `(N, D)` and labels `(N,)` of at least two classes.

    Raises:
        ValueError: if they are not that; `name` is the argument that it names.
    """
    features = checked_features(name, features).astype("float64")
    labels = np.asarray(labels)
    if labels.shape != features.shape[:1] or len(np.unique(labels)) < 2:
        raise ValueError(
            f"`labels` must hold one label for each of the {len(features)} rows of "
            f"`{name}`, of at least two classes. Received shape {labels.shape}."
        )
    return features, labels
