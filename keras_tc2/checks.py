"""Checks of single arguments: each names the argument, what came and what may come."""

import difflib
import math
import numbers
import os
import pathlib
from collections.abc import Mapping


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


def optional(check, name, value):
    """Returns `None`, or what `check`, another of these, makes of the value."""
    return value if value is None else check(name, value)


def mapping(name, value):
    """Returns `value`, a dict from names, or raises `ValueError`."""
    if not isinstance(value, Mapping):
        raise ValueError(
            f'`{name}` must be a dict from names, {{"a": ..., "b": ...}}. Received: '
            f"{type(value).__name__}"
        )
    return value


def paths(name, value):
    """Returns a list of `pathlib.Path`, `~` expanded, or raises `ValueError`.

    A single path is refused: its letters would be taken for paths.
    """
    if isinstance(value, str | os.PathLike):
        raise ValueError(
            f"`{name}` must be a list of paths, [{str(value)!r}]. Received: the path "
            "alone"
        )
    return [pathlib.Path(path).expanduser() for path in value]


def one_of(name, value, choices, *, aliases=None):
    """Returns `value`, a member of `choices`, or raises `ValueError` listing them.

    Args:
        name: str, the argument that the message names.
        value: what was given.
        choices: iterable of what may come.
        aliases: dict from other names to those of `choices`; see `did_you_mean`.
    """
    choices = list(choices)
    if not _is_in(value, choices):
        known = ", ".join(repr(choice) for choice in choices)
        hint = did_you_mean(value, choices, aliases=aliases)
        raise ValueError(
            f"`{name}` must be one of {known}. Received: {name}={value!r}.{hint}"
        )
    return value


def made(name, value, base, by_name, *, aliases=None):
    """An object of class `base`, from its name, its class, or as it is.

    Args:
        name: str, the argument that the message names.
        value: what was given.
        base: class of the objects.
        by_name: dict from names to classes that can be made without arguments.
        aliases: dict from other names to those of `by_name`.

    Raises:
        ValueError: if `value` is none of these, with the known name that is nearest;
            or if it is a class that needs arguments.
    """
    if isinstance(value, base):
        return value
    if isinstance(value, type) and issubclass(value, base):
        try:
            return value()
        except TypeError as error:
            raise ValueError(
                f"`{name}` was given the class {value.__name__}, which cannot be made "
                f"without arguments ({error}). Give an object: "
                f"{name}={value.__name__}(...)"
            ) from error
    if _is_in(value, by_name):
        return by_name[value]()
    article = "an" if base.__name__[0] in "AEIO" else "a"
    raise ValueError(
        f"`{name}` must be {article} {base.__name__} or one of "
        f"{', '.join(map(repr, by_name))}. Received: {name}={value!r}."
        f"{did_you_mean(value, by_name, aliases=aliases)}"
    )


def did_you_mean(value, choices, *, aliases=None):
    """A question that ends a message about an unknown name, or `""`.

    Case and punctuation do not count: `"ResNet-50"` is near `"resnet50"`.

    Args:
        value: what was given; anything but a string is near nothing.
        choices: iterable of known names.
        aliases: dict from names that others use to those of `choices`.

    Returns:
        str, such as `" Did you mean 'nt_xent'?"`, with its leading space.
    """
    if not isinstance(value, str):
        return ""
    meant = {_letters(choice): choice for choice in choices if isinstance(choice, str)}
    for alias, choice in (aliases or {}).items():
        meant.setdefault(_letters(alias), choice)
    # What differs by a digit is another size of the same thing: 0.6 lets a letter or
    # two be wrong in a short name, and keeps strangers out.
    close = difflib.get_close_matches(_letters(value), meant, n=3, cutoff=0.6)
    if _letters(value) in meant:
        close = [_letters(value)]
    names = dict.fromkeys(repr(meant[key]) for key in close)
    return f" Did you mean {' or '.join(names)}?" if names else ""


def _letters(name):
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _is_in(value, choices):
    """Whether `value` is one of `choices`; an array, or a dict, is none."""
    try:
        return value in dict.fromkeys(choices)
    except TypeError:
        return False


def _finite_number(name, value, expected, holds):
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not holds(value):
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")
