"""Bounded checks of builder arguments: they may come from a stranger's file."""

from keras_tc2 import checks

# Far above any encoder in use, and low enough that building one cannot harm.
MAX_IMAGE_SIDE = 4096
MAX_CHANNELS = 1024
MAX_WIDTH = 8192
MAX_DEPTH = 64


def image_shape(value):
    """Returns `value` as (height, width, channels), three ints, or raises."""
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels), three integers. "
            f"Received: input_shape={value!r}"
        )
    height, width, channels = value
    return (
        bounded_integer("input_shape[0] (height)", height, at_most=MAX_IMAGE_SIDE),
        bounded_integer("input_shape[1] (width)", width, at_most=MAX_IMAGE_SIDE),
        bounded_integer("input_shape[2] (channels)", channels, at_most=MAX_CHANNELS),
    )


def bounded_integer(name, value, *, at_most, at_least=1):
    """Returns `value`, an integer from `at_least` to `at_most`, or raises."""
    value = checks.integer(name, value, at_least=at_least)
    if value > at_most:
        raise ValueError(
            f"`{name}` must be an integer <= {at_most}. Received: {name}={value!r}"
        )
    return value


def widths(name, value):
    """Returns `value` as a tuple of layer widths, or raises."""
    if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= MAX_DEPTH:
        raise ValueError(
            f"`{name}` must be a list of 1 to {MAX_DEPTH} integers. "
            f"Received: {name}={value!r}"
        )
    return tuple(bounded_integer(name, width, at_most=MAX_WIDTH) for width in value)


def fraction(name, value, *, at_least, at_most):
    """Returns `value`, a float in [`at_least`, `at_most`], or raises."""
    checks.non_negative(name, value)
    if not at_least <= value <= at_most:
        raise ValueError(
            f"`{name}` must lie in [{at_least}, {at_most}]. Received: {name}={value!r}"
        )
    return float(value)
