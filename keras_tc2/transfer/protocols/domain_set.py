"""Several domains of the same classes as one downstream dataset."""

import functools

import numpy as np


class DomainSet:
    """Several domains of the same classes, together one `Downstream`.

    Args:
        name: str. The whole set.
        domains: dict from domain name to `Downstream`.

    Attributes: those of `Downstream`; arrays and images are those of all domains, one
        after the other.
    """

    def __init__(self, name, domains):
        self.name = name
        self.domains = domains
        first = next(iter(domains.values()))
        self.encoder = first.encoder
        self.seed = first.seed

    @functools.cached_property
    def arrays(self):
        """Train features and labels, then test features and labels."""
        parts = [domain.arrays for domain in self.domains.values()]
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

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
        """Unbatched `tf.data.Dataset` of `(image, label)` of all domains."""
        return _chained([domain.train_images for domain in self.domains.values()])

    @property
    def test_images(self):
        """Unbatched `tf.data.Dataset` of `(image, label)` of all domains."""
        return _chained([domain.test_images for domain in self.domains.values()])

    @property
    def notes(self):
        """Sentences about what was done to the data of each domain."""
        parts = self.domains.items()
        return [f"{name}: {note}" for name, part in parts for note in part.notes]

    @property
    def feature_seconds(self):
        """Time spent on features so far."""
        return sum(domain.feature_seconds for domain in self.domains.values())


def _chained(datasets):
    chained = datasets[0]
    for dataset in datasets[1:]:
        chained = chained.concatenate(dataset)
    return chained
