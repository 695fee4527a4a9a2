"""Small labelled clouds of features that several tests share."""

import numpy as np


def blobs(number, *, dim=6, classes=3, separation=1.5, seed=0):
    """Features `(number, dim)` around one corner a class, and their labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=number)
    labels[:classes] = np.arange(classes)
    centres = separation * np.eye(dim)[:classes]
    features = centres[labels] + generator.normal(size=(number, dim))
    return features.astype("float32"), labels
