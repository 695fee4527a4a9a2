"""New encoders of weights that are computed from those of others."""

import numpy as np

from keras_tc2.encoders.encoder_copy import copy_of
from keras_tc2.transfer.merge.batch_statistics import (
    reestimate_batch_statistics,
    statistics,
)


def arrays_of(encoder):
    """The weights as float64 arrays; whole numbers, such as counts, as they are."""
    arrays = [np.asarray(variable) for variable in encoder.weights]
    return [a.astype("float64") if is_float(a) else a for a in arrays]


def mixed(encoders, function):
    """Weights computed tensor by tensor.

    Args:
        encoders: list of encoders of one architecture.
        function: callable from the float64 tensors of all encoders, `(encoders, ...)`,
            and the position of the tensor among the weights, to a tensor.

    Returns:
        List of arrays; of whole numbers those of the first encoder.
    """
    groups = zip(*map(arrays_of, encoders), strict=True)
    return [
        function(np.stack(tensors), i) if is_float(tensors[0]) else tensors[0]
        for i, tensors in enumerate(groups)
    ]


def composed(base, encoders, coefficients, images):
    """A copy of `base` plus task vectors, scaled block by block.

    Args:
        base: `keras.Model`, θ_0.
        encoders: list of `keras.Model`s, θ_i.
        coefficients: float array `(encoders, blocks)`, λ_ij; a block is a weight of
            `parameter_positions`. Moving statistics are the mean of those of the
            encoders, since a sum of variances may be negative.
        images: as in `with_weights`.
    """
    columns = dict(zip(parameter_positions(base), coefficients.T, strict=True))

    def added(tensors, i):
        start, tuned = tensors[0], tensors[1:]
        if i not in columns:
            return tuned.mean(axis=0)
        return start + np.tensordot(columns[i], tuned - start, 1)

    return with_weights(base, mixed([base, *encoders], added), images)


def with_weights(encoder, values, images):
    """A copy of an encoder with other weights.

    Args:
        encoder: `keras.Model`.
        values: list of arrays, one a weight.
        images: what batch statistics are re-estimated on, or `None` to take those among
            `values`.
    """
    copy = copy_of(encoder)
    copy.set_weights(values)
    if images is not None:
        reestimate_batch_statistics(copy, images)
    return copy


def parameter_positions(encoder):
    """Positions, among the weights, of what is trained: neither statistics nor counts.

    Returns:
        List of ints.
    """
    left_out = statistics(encoder)
    return [
        i
        for i, variable in enumerate(encoder.weights)
        if id(variable) not in left_out and is_float(np.asarray(variable))
    ]


def is_float(array):
    """Whether an array holds numbers with a fraction, half precision's included."""
    return array.dtype.kind not in "iub"


def checked_weights(weights, number):
    """`weights`, one a encoder, that sum to one; equal ones for `None`.

    Returns:
        Float64 array `(number,)`.

    Raises:
        ValueError: if they are not as many, one is negative or not finite, or their sum
            is not one.
    """
    if weights is None:
        return np.full(number, 1 / number)
    array = _numbers("weights", weights, number)
    if (array < 0).any() or abs(array.sum() - 1) > 1e-6:
        raise ValueError(
            "`weights` must be at least zero and sum to one. Received: "
            f"{weights!r}, with the sum {array.sum():g}"
        )
    return array


def checked_scaling(scaling, number):
    """`scaling` as one finite number a encoder, float64 `(number,)`, or ValueError."""
    if np.ndim(scaling) == 0:
        scaling = [scaling] * number
    return _numbers("scaling", scaling, number)


def _numbers(name, values, number):
    try:
        array = np.asarray(values, "float64")
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if array.shape != (number,) or not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` must hold one finite number for each of the {number} encoders. "
            f"Received: {values!r}"
        )
    return array
