"""Checks of intervals from which augmentations draw."""

import math
import numbers


def interval(name, value, *, low, high=math.inf, open_low=False):
    """Returns `value`, a pair (from, to) within [low, high], as a tuple.

    Args:
        name: the argument, for the message.
        value: pair of finite numbers, the first not above the second.
        low, high: the bounds that both must keep.
        open_low: bool. Whether `low` itself is out of bounds.

    Raises:
        ValueError: if it is not such a pair.
    """
    is_pair = isinstance(value, tuple | list) and len(value) == 2
    if not is_pair or not all(_is_finite(bound) for bound in value):
        _refuse(name, value, low, high, open_low)
    first, last = value
    if first > last or first < low or last > high or (open_low and first == low):
        _refuse(name, value, low, high, open_low)
    return (first, last)


def factor_range(name, value):
    """Interval of a factor around 1: `s` means [max(0, 1 - s), 1 + s]; or a pair."""
    if isinstance(value, tuple | list):
        return interval(name, value, low=0)
    if not _is_finite(value) or value < 0:
        raise ValueError(
            f"`{name}` must be a finite number >= 0, or a pair (lowest, highest factor)"
            f". Received: {name}={value!r}"
        )
    return (max(0.0, 1.0 - value), 1.0 + value)


def shift_range(name, value):
    """Interval of a hue shift around 0: `s` means [-s, s], s <= 0.5; or a pair."""
    if isinstance(value, tuple | list):
        return interval(name, value, low=-0.5, high=0.5)
    if not _is_finite(value) or not 0 <= value <= 0.5:
        raise ValueError(
            f"`{name}` must be a number in [0, 0.5], or a pair in [-0.5, 0.5]. "
            f"Received: {name}={value!r}"
        )
    return (-value, value)


def number_or_pair(value):
    """The value as a layer stores it: a list, as configs hold pairs, is a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _is_finite(value):
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _refuse(name, value, low, high, open_low):
    brackets = ("(" if open_low else "[", ")" if math.isinf(high) else "]")
    raise ValueError(
        f"`{name}` must be a pair (from, to), from <= to, of numbers in "
        f"{brackets[0]}{low}, {high}{brackets[1]}. Received: {name}={value!r}"
    )
