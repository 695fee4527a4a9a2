"""Few-shot classification: ridge regression on a handful of images of each class."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.cosine import unit_rows
from keras_tc2.transfer.features.labelled_features import checked
from keras_tc2.transfer.features.ties import first_largest
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score

REGULARIZATION = 0.3


def few_shot(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    *,
    shots: int | Sequence[int] = (1, 2, 5, 10, 25),
    num_draws: int = 10,
    regularization: float = REGULARIZATION,
    seed: int = 0,
) -> dict[int, dict[str, Any]]:
    """Accuracy from a few labelled images of each class, over several draws of them.

    Features are l2-normalised and centred on the mean of the images drawn. One-hot
    targets, centred too, are regressed on them in closed form with the L2 weight
    `regularization` × the mean squared norm of the drawn features. It is fixed, not
    chosen: one image of a class leaves nothing to choose it on. Of equal scores the
    smaller class wins.

    Args:
        train_features: array `(N, D)`, the pool that shots are drawn from.
        train_labels: array `(N,)`.
        test_features: array `(M, D)`.
        test_labels: array `(M,)`.
        shots: int, or sequence of ints >= 1. Images of each class. Defaults to
            `(1, 2, 5, 10, 25)`.
        num_draws: int >= 1. Draws for each number of shots. Defaults to `10`.
        regularization: float > 0. Relative L2 weight. Defaults to `0.3`.
        seed: int. Draws the images: the same for every encoder, so that comparisons
            are paired. Defaults to `0`.

    Returns:
        Dict from number of shots to a dict with `"accuracy"` (mean over draws),
        `"spread"` (their standard deviation, 0 for a single draw), `"accuracies"` (one
        a draw) and `"per_image"` (array `(M,)`, share of draws that were right).

    Raises:
        ValueError: if a class of train has fewer images than the shots asked for, or
            the arrays do not fit together.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import transfer

    generator = np.random.default_rng(0)
    labels = np.arange(100) % 2
    features = generator.normal(size=(100, 8)) + labels[:, None] * np.eye(8)[0] * 3
    result = transfer.few_shot(
        features[:80], labels[:80], features[80:], labels[80:], shots=(1, 5)
    )
    result[5]["accuracy"]
    ```
    """
    numbers = _numbers(shots)
    checks.integer("num_draws", num_draws)
    checks.positive("regularization", regularization)
    train_features, train_labels, test_features, test_labels = checked(
        train_features, train_labels, test_features, test_labels
    )
    classes, counts = np.unique(train_labels, return_counts=True)
    if max(numbers) > counts.min():
        raise ValueError(
            f"{max(numbers)} shots need as many train images of every class. Class "
            f"{classes[counts.argmin()]!r} has {counts.min()}."
        )
    train_features = unit_rows(train_features)
    test_features = unit_rows(test_features)
    results = {}
    for number in numbers:
        correct = np.empty((num_draws, len(test_labels)), bool)
        for draw in range(num_draws):
            generator = np.random.default_rng([seed, number, draw])
            members = [np.flatnonzero(train_labels == value) for value in classes]
            drawn = np.concatenate(
                [generator.permutation(indices)[:number] for indices in members]
            )
            targets = np.repeat(np.eye(len(classes)), number, axis=0)
            scores = ridge_scores(
                train_features[drawn], targets, test_features, regularization
            )
            correct[draw] = classes[first_largest(scores)] == test_labels
        accuracies = correct.mean(axis=1)
        results[number] = {
            "accuracy": float(accuracies.mean()),
            "spread": float(accuracies.std(ddof=1)) if num_draws > 1 else 0.0,
            "accuracies": [float(accuracy) for accuracy in accuracies],
            "per_image": correct.mean(axis=0),
        }
    return results


def _numbers(shots):
    """List of the numbers of shots, each checked."""
    shots = list(shots) if isinstance(shots, Iterable) else [shots]
    return [checks.integer("shots", number) for number in shots]


def ridge_scores(train, targets, test, regularization):
    """Ridge regression with an intercept, through the smaller of its two systems.

    Args:
        train: float array `(N, D)`.
        targets: float array `(N, C)`.
        test: float array `(M, D)`.
        regularization: float. L2 weight over the mean squared norm of centred `train`.

    Returns:
        Float array `(M, C)`.
    """
    train = np.asarray(train, "float64")
    centre, offset = train.mean(axis=0), targets.mean(axis=0)
    train = train - centre
    targets = targets - offset
    weight = regularization * max(np.mean(np.sum(train**2, axis=1)), 1e-12)
    number, dim = train.shape
    if number < dim:
        dual = np.linalg.solve(train @ train.T + weight * np.eye(number), targets)
        coefficients = train.T @ dual
    else:
        gram = train.T @ train + weight * np.eye(dim)
        coefficients = np.linalg.solve(gram, train.T @ targets)
    return (test - centre) @ coefficients + offset


class FewShot(Protocol):
    """The protocol `"few_shot"`: a row for each number of shots that train allows."""

    function = staticmethod(few_shot)

    def __call__(self, downstream: Any) -> list[Score]:
        """A score for each number of shots."""
        _, counts = np.unique(downstream.train_labels, return_counts=True)
        asked = _numbers(self.options["shots"])
        shots = [number for number in asked if number <= counts.min()]
        if not shots:
            raise ValueError(
                f"Few-shot on {downstream.name!r}: its smallest class has "
                f"{counts.min()} train images, fewer than any of "
                f"shots={asked}."
            )
        options = {**self.options, "shots": shots}
        results = few_shot(*downstream.arrays, seed=downstream.seed, **options)
        return [
            Score(
                f"few_shot_{number}",
                result["accuracy"],
                spread=result["spread"],
                per_image=result["per_image"],
                details={"accuracies": result["accuracies"]},
            )
            for number, result in results.items()
        ]
