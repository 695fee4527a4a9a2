"""Checks of single arguments: each names the argument, what came and what may come."""

import math
import numbers


def positive(name, value):
    """Returns `value`, a finite number above zero.

    Raises:
        ValueError: if it is not; `name` is the argument that the message names.
    """
    _finite_number(name, value, "a finite number > 0", lambda v: v > 0)
    return value


def non_negative(name, value):
    """Returns `value`, a finite number of at least zero, or raises `ValueError`."""
    _finite_number(name, value, "a finite number >= 0", lambda v: v >= 0)
    return value


def probability(name, value):
    """Returns `value`, a number in [0, 1], or raises `ValueError`."""
    _finite_number(name, value, "a number in [0, 1]", lambda v: 0 <= v <= 1)
    return value


def integer(name, value, *, at_least=1):
    """Returns `value`, an integer of at least `at_least`, or raises `ValueError`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < at_least:
        raise ValueError(
            f"`{name}` must be an integer >= {at_least}. Received: {name}={value!r}"
        )
    return int(value)


def one_of(name, value, choices):
    """Returns `value`, a member of `choices`, or raises `ValueError` listing them."""
    choices = list(choices)
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")
    return value


def _finite_number(name, value, expected, holds):
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not holds(value):
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")
