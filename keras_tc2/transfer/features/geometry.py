"""The shape of a cloud of features: has it collapsed, and how evenly does it spread."""

import numpy as np

from keras_tc2.annotations import Array
from keras_tc2.transfer.features.cosine import unit_rows
from keras_tc2.transfer.features.labelled_features import checked_features


def relative_std(features: Array) -> float:
    """Standard deviation of l2-normalised features, over that of an even spread.

    The mean over dimensions of the standard deviation over images, times `sqrt(dim)`
    [1]: near 1 when directions fill the sphere, 0 when all features are the same.

    Args:
        features: array `(N, dim)`.

    Returns:
        Float in [0, 1].

    References:
        - [1] Chen and He, 2021, arXiv 2011.10566, section 4.1
    """
    features = unit_rows(checked_features("features", features))
    return float(features.std(axis=0).mean() * np.sqrt(features.shape[1]))


def effective_rank(features: Array) -> float:
    """RankMe: the exponential of the entropy of the normalised singular values.

    Equation 1 of [1], on features as they are, neither centred nor normalised.

    Args:
        features: array `(N, dim)`; a few times `dim` images give a stable value.

    Returns:
        Float in [1, min(N, dim)]: how many dimensions the features use.

    References:
        - [1] Garrido et al., 2023, arXiv 2210.02885, equation 1
    """
    features = checked_features("features", features)
    singular_values = np.linalg.svd(features.astype("float64"), compute_uv=False)
    total = singular_values.sum()
    if total == 0:
        return 1.0
    shares = singular_values[singular_values > 0] / total
    return float(np.exp(-np.sum(shares * np.log(shares))))


def alignment(embeddings_1: Array, embeddings_2: Array) -> float:
    """Mean squared distance between the l2-normalised embeddings of two views.

    Equation 5 of [1] with its exponent 2.

    Args:
        embeddings_1, embeddings_2: arrays `(N, dim)`, row by row the same images.

    Returns:
        Float in [0, 4]; 0 is perfect agreement.

    References:
        - [1] Wang and Isola, 2020, arXiv 2005.10242, section 4.1.1
    """
    difference = unit_rows(embeddings_1) - unit_rows(embeddings_2)
    return float(np.mean(np.sum(difference**2, axis=1)))


def uniformity(embeddings: Array) -> float:
    """Log of the mean Gaussian potential between pairs of l2-normalised embeddings.

    Section 4.1.2 of [1] with t = 2, over the pairs of distinct rows.

    Args:
        embeddings: array `(N, dim)`, N >= 2.

    Returns:
        Float <= 0 (all the same), near -4 for an even spread in many dimensions; -8 at
        least, of two that are opposite.

    References:
        - [1] Wang and Isola, 2020, arXiv 2005.10242, section 4.1.2
    """
    embeddings = unit_rows(checked_features("embeddings", embeddings))
    first, second = np.triu_indices(len(embeddings), k=1)
    # Rows of zeros stay so.
    norms = np.sum(embeddings**2, axis=1)
    similarities = (embeddings @ embeddings.T)[first, second]
    squared = norms[first] + norms[second] - 2 * similarities
    return float(np.log(np.mean(np.exp(-2 * squared.astype("float64")))))
