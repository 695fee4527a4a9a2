"""BrokenImages: what happens to images that cannot be read."""

import threading

from absl import logging

from keras_tc2.data.reading.reading_errors import ReadingError

NAMED = 10


class BrokenImages:
    """Raises at the first broken image, or counts and names those that are skipped.

    Args:
        on_error: `"raise"` or `"skip"`.
        max_skipped_share: float in [0, 1]. Skipping stops with an error when more than
            this share of the images is broken.
        size: int, the number of images, or `None` if it is not known.
        where: str, the source as messages name it.
        explain: function from what stands for an image, such as its path, to
            `(name, reason)`.
    """

    def __init__(self, on_error, max_skipped_share, size, where, explain):
        self.on_error = on_error
        self.max_skipped_share = max_skipped_share
        self.size = size
        self.where = where
        self.explain = explain
        self._reasons = {}
        self._lock = threading.Lock()

    def add(self, name, reason):
        """Takes note of one broken image, or raises `ReadingError`."""
        if self.on_error == "raise":
            raise ReadingError(
                f"{name} {reason}. Repair or remove it, or leave such images out with "
                '`on_error="skip"`.'
            )
        with self._lock:
            self._reasons[name] = reason
            if self.size and len(self._reasons) > self.max_skipped_share * self.size:
                raise ReadingError(
                    f"More than {self.max_skipped_share:.1%} of {self.size} images "
                    "cannot be read (`max_skipped_share` sets the limit). "
                    f"{self.summary()}"
                )

    def examine(self, items):
        """Adds every one of `items` that could not be decoded; returns how many."""
        for item in items:
            self.add(*self.explain(item))
        return len(items)

    def report(self):
        """Logs what has been skipped so far; called at the end of every pass."""
        logging.warning("%s", self.summary())
        return 0

    def summary(self):
        """How many images were skipped, and the first of them with the reasons."""
        named = sorted(self._reasons.items())[:NAMED]
        more = len(self._reasons) - len(named)
        listed = "; ".join(f"{name} {reason}" for name, reason in named)
        return (
            f"Skipped {len(self._reasons)} images of {self.where}: {listed}"
            + (f"; and {more} more" if more else "")
            + "."
        )
