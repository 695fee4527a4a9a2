"""Where half precision must not reach: the cast that objectives and layers share."""

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
