"""Semi-supervised: fine-tuning on a small share of the labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Examples, PathLike
from keras_tc2.transfer.classifiers.fine_tuning import (
    as_dataset,
    fine_tune,
    labels_of,
    subset,
)
from keras_tc2.transfer.features.extraction import in_one_order
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


def semi_supervised(
    encoder: keras.Model | PathLike,
    train: Examples,
    test: Examples,
    *,
    shares: Sequence[float] = (0.01, 0.1, 1.0),
    fine_tuning: Mapping[str, Any] | None = None,
    seed: int = 0,
    verbose: int = 0,
) -> dict[float, dict[str, Any]]:
    """Accuracy after fine-tuning on a share of the labelled train images.

    The share is drawn class by class, at least two images of each: one to fit on and
    one to stop on.

    Args:
        encoder: as in `fine_tune`.
        train: as in `fine_tune`.
        test: as in `fine_tune`.
        shares: sequence of floats in (0, 1]. Defaults to `(0.01, 0.1, 1.0)`.
        fine_tuning: dict of options of `fine_tune`. Defaults to `None`, its defaults.
        seed: int. Draws the images; the same for every encoder. Defaults to `0`.
        verbose: int. As in `fit`. Defaults to `0`.

    Returns:
        Dict from share to what `fine_tune` returns, with `"num_images"`, the number of
        train images used.

    Raises:
        ValueError: if a share is out of range, or as `fine_tune`.
    """
    for share in shares:
        checks.positive("shares", checks.probability("shares", share))
    train = in_one_order(as_dataset(train))
    labels = labels_of(train)
    results = {}
    for share in shares:
        generator = np.random.default_rng([seed, round(share * 1e6)])
        drawn = np.concatenate(
            [
                _drawn(generator, np.flatnonzero(labels == value), share)
                for value in np.unique(labels)
            ]
        )
        results[share] = fine_tune(
            encoder,
            subset(train, drawn, len(labels)),
            test,
            seed=seed,
            verbose=verbose,
            **(fine_tuning or {}),
        )
        results[share]["num_images"] = len(drawn)
    return results


def _drawn(generator, members, share):
    number = min(max(2, round(share * len(members))), len(members))
    return generator.permutation(members)[:number]


class SemiSupervised(Protocol):
    """The protocol `"semi_supervised"`: a row for each share of the labels."""

    function = staticmethod(semi_supervised)

    def __call__(self, downstream: Any) -> list[Score]:
        """A score for each share."""
        results = semi_supervised(
            downstream.encoder,
            downstream.train_images,
            downstream.test_images,
            seed=downstream.seed,
            **self.options,
        )
        return [
            Score(
                f"semi_supervised_{100 * share:g}%",
                result["accuracy"],
                per_image=result["correct"],
                details={key: result[key] for key in ("num_images", "num_epochs")},
            )
            for share, result in results.items()
        ]
