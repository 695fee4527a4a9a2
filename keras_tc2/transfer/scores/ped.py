"""PED: a score of features after a few steps towards what fine-tuning makes of them."""

from collections.abc import Callable

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.labelled_features import checked_features
from keras_tc2.transfer.scores.arguments import checked_target
from keras_tc2.transfer.scores.log_me import log_me

# Dimensions that are constant on the reference images are not blown up.
SMALLEST_DEVIATION = 1e-3
# Defaults of the motion.
RADIUS, TIME_STEP, MAX_STEPS, EXIT_RATIO = 0.6, 0.1, 6, 0.5


def ped(
    features: Array,
    labels: Array,
    *,
    score: Callable[[Array, Array], float] = log_me,
    reference_features: Array | None = None,
    radius: float = RADIUS,
    time_step: float = TIME_STEP,
    max_steps: int = MAX_STEPS,
    exit_ratio: float = EXIT_RATIO,
) -> float:
    """Another score, of features that `potential_energy_decline` has moved.

    Scores of features as they are overlook that fine-tuning moves them; [1] lets
    classes that overlap repel one another first. Higher is better.

    Args:
        features: array `(N, D)` of target images.
        labels: array `(N,)`.
        score: function of features and labels, taken of the moved features. Defaults to
            `log_me`.
        reference_features: array `(M, D)` or `None`; this and those below as of
            `potential_energy_decline`. Defaults to `None`.
        radius: float > 0. Defaults to `0.6`.
        time_step: float > 0. Defaults to `0.1`.
        max_steps: int >= 0. Defaults to `6`.
        exit_ratio: float >= 0. Defaults to `0.5`.

    Returns:
        What `score` returns.

    Raises:
        ValueError: as `potential_energy_decline`.

    Example:
    ```python
    import numpy as np
    from keras_tc2.transfer import scores

    labels = np.arange(60) % 3
    features = np.random.default_rng(0).normal(size=(60, 8)) + np.eye(8)[labels]
    print(scores.ped(features, labels), scores.log_me(features, labels))
    ```

    References:
        - [1] Li et al., 2023, arXiv 2308.15074
    """
    moved = potential_energy_decline(
        features,
        labels,
        reference_features=reference_features,
        radius=radius,
        time_step=time_step,
        max_steps=max_steps,
        exit_ratio=exit_ratio,
    )
    return score(moved, labels)


def potential_energy_decline(
    features: Array,
    labels: Array,
    *,
    reference_features: Array | None = None,
    radius: float = RADIUS,
    time_step: float = TIME_STEP,
    max_steps: int = MAX_STEPS,
    exit_ratio: float = EXIT_RATIO,
) -> Array:
    """Features whose classes have pushed one another apart.

    A class is a ball around its mean, whose radius is `radius` times its standard
    deviation, √ of the sum of variances over dimensions. In a step of t =
    `time_step`, each class moves away from each other one that it overlaps, along the
    line of their means, by min(t²/2, 1) times the depth of the overlap: a force as
    large as the overlap is deep, unit mass, starting at rest. Steps end before the
    first that moves the classes by at most `exit_ratio` of what the first step did,
    summed over all.
    These are the steps of the code that the authors of [1] published; the paper itself
    was not at hand.

    All happens in features that are standardized per dimension by their mean and
    deviation on reference images, in that code those of the source. Ours: without them
    the target images serve, and classes with one mean do not move one another, since
    there is no direction.

    Args:
        features: array `(N, D)` of target images.
        labels: array `(N,)`.
        reference_features: array `(M, D)`, the same encoder's features of other images,
            such as those that it was pre-trained on, or `None` for `features`.
            Defaults to `None`.
        radius: float > 0. The code of [1] names 0.3 and 0.6. Defaults to `0.6`.
        time_step: float > 0. Defaults to `0.1`.
        max_steps: int >= 0. Defaults to `6`.
        exit_ratio: float >= 0. Defaults to `0.5`.

    Returns:
        Float64 array `(N, D)`.

    Raises:
        ValueError: if the arrays do not fit together or an argument is out of range.

    References:
        - [1] Li et al., 2023, arXiv 2308.15074, and github.com/lixiaotong97/PED
    """
    checks.positive("radius", radius)
    checks.positive("time_step", time_step)
    checks.integer("max_steps", max_steps, at_least=0)
    checks.non_negative("exit_ratio", exit_ratio)
    features, labels = checked_target(features, labels)
    if reference_features is None:
        reference = features
    else:
        reference = checked_features("reference_features", reference_features)
        reference = reference.astype("float64")
        if reference.shape[1] != features.shape[1]:
            raise ValueError(
                "`reference_features` must be of the encoder that `features` are of, "
                f"with {features.shape[1]} columns. Received shape {reference.shape}."
            )
    center = reference.mean(axis=0)
    scale = np.maximum(reference.std(axis=0), SMALLEST_DEVIATION)
    moved = (features - center) / scale
    _, ids = np.unique(labels, return_inverse=True)
    first = None
    for _ in range(max_steps):
        displacements = _displacements(moved, ids, radius, time_step)
        change = np.abs(displacements).sum()
        first = change if first is None else first
        if change <= exit_ratio * first:
            break
        moved = moved + displacements[ids]
    return moved * scale + center


def _displacements(features, ids, radius, time_step):
    """How far each class moves in one step, `(classes, D)`."""
    classes = [features[ids == i] for i in range(ids.max() + 1)]
    means = np.stack([part.mean(axis=0) for part in classes])
    radii = radius * np.sqrt([part.var(axis=0).sum() for part in classes])
    away = means[:, None] - means
    distances = np.linalg.norm(away, axis=2)
    overlaps = np.maximum(radii[:, None] + radii - distances, 0.0)
    shifts = min(time_step**2 / 2, 1.0) * overlaps
    directions = np.zeros_like(away)
    apart = distances > 0
    directions[apart] = away[apart] / distances[apart][:, None]
    return np.sum(shifts[:, :, None] * directions, axis=1)
