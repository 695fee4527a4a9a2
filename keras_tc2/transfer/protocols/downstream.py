"""One downstream dataset as one encoder sees it: what a protocol reads."""

import functools
import time

import numpy as np
import tensorflow as tf

from keras_tc2.transfer.features.adapt import adapt, image_shape_of
from keras_tc2.transfer.features.labelled_features import checked_labels


class Downstream:
    """Features, labels and images of one dataset; each is computed when first read.

    Args:
        name: str. The dataset.
        encoder: a `keras.Model` from images to features, or None where the splits hold
            features.
        train, test: unbatched datasets of `(image, label)`, or pairs of arrays
            `(features, labels)`.
        extract: callable `(dataset) -> (features, labels)`.
        seed: int. Whatever a protocol draws, it draws from this.

    Attributes:
        domains: dict from domain name to the `Downstream` of that part; empty unless
            the dataset is a `DomainSet`.
        notes: list of sentences about what was done to the data.
        feature_seconds: float. Time spent on features so far.
    """

    def __init__(self, name, *, encoder, train, test, extract, seed):
        self.name = name
        self.encoder = encoder
        self.seed = seed
        self.domains = {}
        self.notes = []
        self.feature_seconds = 0.0
        self._extract = extract
        self._failure = None
        self._train = self._fitted(train)
        self._test = self._fitted(test)

    @functools.cached_property
    def arrays(self):
        """Train features and labels, then test features and labels."""
        if self._failure is not None:
            # Each protocol asks; reading everything again would fail again.
            raise self._failure
        try:
            arrays = *self._arrays_of(self._train), *self._arrays_of(self._test)
        except Exception as error:
            self._failure = error
            raise
        self._note_unseen(arrays[1], arrays[3])
        return arrays

    def _note_unseen(self, train_labels, test_labels):
        """Says so, if test has classes that nothing trained on train can name."""
        unseen = np.setdiff1d(test_labels, train_labels)
        if len(unseen):
            count = int(np.isin(test_labels, unseen).sum())
            names = ", ".join(map(str, unseen[:5])) + (", …" if len(unseen) > 5 else "")
            self.notes.append(
                f"{count} test images are of classes that train lacks ({names}), and "
                "count as wrong where classes are predicted"
            )

    @property
    def train_labels(self):
        """Array `(N,)`."""
        return self.arrays[1]

    @property
    def test_labels(self):
        """Array `(M,)`."""
        return self.arrays[3]

    @property
    def train_images(self):
        """Unbatched `tf.data.Dataset` of `(image, label)`, of the encoder's shape."""
        return self._images(self._train)

    @property
    def test_images(self):
        """Unbatched `tf.data.Dataset` of `(image, label)`, of the encoder's shape."""
        return self._images(self._test)

    def _fitted(self, split):
        if not isinstance(split, tf.data.Dataset):
            return split
        fitted, note = adapt(split, image_shape_of(self.encoder))
        if note and note not in self.notes:
            self.notes.append(note)
        return fitted

    def _arrays_of(self, split):
        if not isinstance(split, tf.data.Dataset):
            features, labels = split
            return np.asarray(features), checked_labels(labels, len(features))
        if self._extract is None:
            raise ValueError(
                f"Dataset {self.name!r} holds images, and there is no encoder: give "
                "one, or features (N, D) in their place."
            )
        start = time.perf_counter()
        features, labels = self._extract(split)
        self.feature_seconds += time.perf_counter() - start
        return features, checked_labels(labels, len(features))

    def _images(self, split):
        if not isinstance(split, tf.data.Dataset):
            raise ValueError(
                f"Dataset {self.name!r} holds features, and this protocol trains on "
                "images. Pass images and an encoder."
            )
        return split
