"""A set of clips as `evaluate` sees it."""

from typing import Any, ClassVar


class Videos:
    """What `Downstream` is for images: clips, of which there are no features.

    Args:
        name: str.
        videos: `VideoSet`.
        encoder: `keras.Model` from images to features.
        seed: int.
    """

    domains: ClassVar[dict[str, Any]] = {}
    feature_seconds = 0.0

    def __init__(self, name, videos, *, encoder, seed):
        self.name = name
        self.videos = videos
        self.encoder = encoder
        self.seed = seed
        self.notes = []

    @property
    def arrays(self):
        """None: raises `ValueError` that says which protocol is for clips."""
        raise ValueError(
            f"Dataset {self.name!r} holds clips, which only the protocol "
            '"label_propagation" measures.'
        )

    train_labels = test_labels = train_images = test_images = arrays
