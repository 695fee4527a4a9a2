"""Numerically safe primitives that layers and objectives share."""

from keras import backend, ops


def at_least_float32(x):
    """Casts half-precision (and integer) tensors to float32; leaves float64 alone.

    Softmaxes, covariances and norms overflow or lose all digits in float16, so under
    a mixed-precision policy they are computed in float32.

    Args:
        x: tensor of any shape.

    Returns:
        Tensor of the same shape, float32 or float64.
    """
    x = ops.convert_to_tensor(x)
    if backend.standardize_dtype(x.dtype) in ("float32", "float64"):
        return x
    return ops.cast(x, "float32")


def l2_normalize(x):
    """Scales the last axis to unit length; a zero vector stays zero.

    Unlike that of `keras.ops.normalize`, the gradient at a zero vector, which a dead
    ReLU layer can give, is zero, not NaN or huge.

    Args:
        x: float tensor `(..., dim)`.

    Returns:
        Tensor of the same shape, at least float32.
    """
    x = at_least_float32(x)
    squared_norm = ops.sum(ops.square(x), axis=-1, keepdims=True)
    is_zero = squared_norm < 1e-24
    return x * ops.where(is_zero, 0.0, ops.rsqrt(ops.where(is_zero, 1.0, squared_norm)))


def rounded_for_ranking(similarities):
    """Cosines on a grid of 2⁻¹⁶, so that equal images tie.

    Equal rows of one float32 product differ in the last bits by their place in it and
    by the processor. What is ranked afterwards puts the earlier of equal ones first.
    """
    return ops.round(similarities * 2.0**16) * 2.0**-16
