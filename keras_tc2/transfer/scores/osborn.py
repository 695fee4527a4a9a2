"""OSBORN: which source models make a good ensemble for a target, lower being better."""

from collections.abc import Sequence

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.labelled_features import checked_features
from keras_tc2.transfer.scores.nce import nce


def osborn(
    members: Sequence[tuple[Array, Array, Array]],
    labels: Array,
    *,
    max_images: int = 1000,
    seed: int = 0,
) -> float:
    """Domain difference, task difference and lack of cohesion of a set of classifiers.

    The sum over members of W_D + W_T, and over pairs of W_C, without weights [1]; see
    `osborn_terms`. Of two sets of one size, the one with the lower sum should serve the
    target better. `transfer.choose_ensemble` chooses by it.

    Args:
        members: sequence of `(source_features, target_features, predictions)`, one a
            classifier: its encoder's features `(N, D)` of its own source images and
            `(M, D)` of the target's, and the source classes `(M,)` that it predicts
            for those.
        labels: array `(M,)`, of the target images.
        max_images: int >= 1. See `domain_difference`. Defaults to `1000`.
        seed: int >= 0. The same. Defaults to `0`.

    Returns:
        Float >= 0.

    Raises:
        ValueError: if there are no members, or arrays do not fit together.

    Example:
    ```python
    import numpy as np
    from keras_tc2.transfer import scores

    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    source, target = generator.normal(size=(2, 60, 8))
    near = source, source + 0.1, labels
    far = source, target + 3, generator.integers(3, size=60)
    assert scores.osborn([near], labels) < scores.osborn([far], labels)
    ```

    References:
        - [1] Bachu et al., 2023, arXiv 2309.02429
    """
    terms = osborn_terms(members, labels, max_images=max_images, seed=seed)
    return float(sum_of_terms(terms, range(len(terms["domain"]))))


def osborn_terms(
    members: Sequence[tuple[Array, Array, Array]],
    labels: Array,
    *,
    max_images: int = 1000,
    seed: int = 0,
) -> dict[str, Array]:
    """What the score of any set of classifiers is the sum of.

    W_D: `domain_difference`. W_T: H(prediction | label), the conditional entropy of the
    classes that a member predicts for target images, given their labels. W_C of two
    members: H(prediction of the one | of the other) and the reverse, on target
    images. So says figure 2 of [1] in words; the formulas were not at hand, and are our
    reading. A member that predicts one class for everything has W_T = 0 and pairs well:
    the score does not see that it is of no use.

    Args:
        members, labels, max_images, seed: as in `osborn`.

    Returns:
        Dict of arrays, nats but for W_D: `"domain"` and `"task"`, `(members,)`, and
        `"cohesion"`, `(members, members)`, symmetric with zero diagonal.

    References:
        - [1] Bachu et al., 2023, arXiv 2309.02429, figure 2
    """
    members = list(members)
    if not members:
        raise ValueError("`members` must hold at least one classifier. Received none.")
    domain, task, predicted = [], [], []
    for source_features, target_features, predictions in members:
        predictions = np.asarray(predictions)
        domain.append(
            domain_difference(
                source_features, target_features, max_images=max_images, seed=seed
            )
        )
        if len(np.asarray(target_features)) != len(predictions):
            raise ValueError(
                "A member must predict a class for each target image. Received "
                f"{len(predictions)} predictions for {len(target_features)} rows of "
                "`target_features`."
            )
        task.append(-nce(labels, predictions))
        predicted.append(predictions)
    cohesion = np.array([[-nce(b, a) for b in predicted] for a in predicted])
    return {
        "domain": np.array(domain),
        "task": np.array(task),
        "cohesion": cohesion + cohesion.T,
    }


def sum_of_terms(terms, chosen):
    """The score of the members at the positions `chosen`."""
    chosen = list(chosen)
    alone = (terms["domain"] + terms["task"])[chosen].sum()
    return alone + terms["cohesion"][np.ix_(chosen, chosen)].sum() / 2


def domain_difference(
    source_features: Array,
    target_features: Array,
    *,
    max_images: int = 1000,
    seed: int = 0,
) -> float:
    """2-Wasserstein distance of two clouds of features, over the source's spread.

    The square root of the mean squared distance of images matched one to one, at the
    least such mean (`scipy.optimize.linear_sum_assignment`), divided by the root mean
    square distance of source features from their mean. So it does not hang on the
    scale of an encoder's features, and 1 is as far as source images are from their
    center. That it is divided is ours.

    Args:
        source_features: array `(N, D)`.
        target_features: array `(M, D)`.
        max_images: int >= 1. As many of each are matched, or the smaller number of the
            two, drawn at random. Defaults to `1000`.
        seed: int >= 0. Of that draw. Defaults to `0`.

    Returns:
        Float >= 0.

    Raises:
        ValueError: if the arrays do not fit together, or all source features are equal.
    """
    # Slow to import, and seldom needed.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    checks.integer("max_images", max_images)
    checks.integer("seed", seed, at_least=0)
    source = checked_features("source_features", source_features).astype("float64")
    target = checked_features("target_features", target_features).astype("float64")
    if source.shape[1] != target.shape[1]:
        raise ValueError(
            "`source_features` and `target_features` must be of one encoder. Received "
            f"shapes {source.shape} and {target.shape}."
        )
    spread = source.var(axis=0).sum()
    if spread == 0:
        raise ValueError(
            "`source_features` must differ. Received equal rows: the encoder has "
            "collapsed."
        )
    generator = np.random.default_rng(seed)
    number = min(len(source), len(target), max_images)
    source, target = (
        part
        if len(part) == number
        else part[generator.choice(len(part), number, replace=False)]
        for part in (source, target)
    )
    costs = cdist(source, target, "sqeuclidean")
    return float(np.sqrt(costs[linear_sum_assignment(costs)].mean() / spread))
