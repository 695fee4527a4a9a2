"""Names and arguments that go: they work for one more minor release, and warn."""

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

# The version in which what is deprecated today is not there any more.
GONE_IN = "0.3"


def old_names(
    module: str, names: Mapping[str, tuple[str, str]]
) -> Callable[[str], Any]:
    """The `__getattr__` of a module some of whose names go.

    They are imported when they are asked for, and stand neither in `__all__` nor in
    `dir`.

    Args:
        module: str, its `__name__`.
        names: dict from each old name to `(where, instead)`: the module that it stands
            in now, and what to write instead, both str.

    Returns:
        Function from a name to what it stands for. It raises `AttributeError` for a
        name that is not among them, and warns with `DeprecationWarning` for one that
        is.

    Example:
    ```python
    from keras_tc2.deprecation import old_names

    __getattr__ = old_names(__name__, {"tau": ("math", "`math.tau`")})
    print(__getattr__("tau"))  # 6.28, and a DeprecationWarning
    ```
    """

    def getattr_of_module(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        where, instead = names[name]
        warn(f"`{module}.{name}`", instead)
        return getattr(importlib.import_module(where), name)

    return getattr_of_module


def old_arguments(**names: str) -> Callable[[Function], Function]:
    """Decorates a function some of whose arguments have another name now.

    Args:
        **names: for each old name the new one, a str.

    Returns:
        Decorator. The function takes both names; the old one warns with
        `DeprecationWarning`, and both together are a `TypeError`. Its signature shows
        the new one alone.

    Example:
    ```python
    from keras_tc2.deprecation import old_arguments

    @old_arguments(lr="learning_rate")
    def fit(*, learning_rate):
        return learning_rate

    print(fit(lr=0.1))  # 0.1, and a DeprecationWarning
    ```
    """

    def decorate(function):
        unknown = set(names.values()) - set(inspect.signature(function).parameters)
        if unknown:
            raise ValueError(
                f"The new names must be arguments of `{function.__name__}`. "
                f"Received: {sorted(unknown)}"
            )

        @functools.wraps(function)
        def with_old_arguments(*args, **kwargs):
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(
                        f"`{function.__name__}` takes `{new}` alone: `{old}` is its "
                        "old name. Received: both"
                    )
                warn(f"`{function.__name__}({old}=)`", f"`{new}=`")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return with_old_arguments

    return decorate


def old_method(old: str, new: str) -> Callable[..., Any]:
    """A method under its old name, which warns with `DeprecationWarning`.

    Args:
        old: str, the name that goes.
        new: str, the name of the method that does the same.

    Returns:
        Function for the body of the class.

    Example:
    ```python
    from keras_tc2.deprecation import old_method

    class Model:
        def fit(self):
            return "fitted"

        train = old_method("train", "fit")

    print(Model().train())  # fitted, and a DeprecationWarning
    ```
    """

    def method(self, *args, **kwargs):
        warn(f"`{type(self).__name__}.{old}`", f"`{new}`")
        return getattr(self, new)(*args, **kwargs)

    method.__name__, method.__doc__ = old, f"Deprecated: `{new}`."
    return method


def warn(old: str, instead: str) -> None:
    """Warns, at the line that called the function which calls this one.

    Args:
        old: str, what goes.
        instead: str, what to write instead.

    Example:
    ```python
    from keras_tc2.deprecation import warn

    def fit_all():
        warn("`fit_all`", "`fit`")

    fit_all()  # a DeprecationWarning
    ```
    """
    warnings.warn(
        f"{old} is deprecated, and is gone in keras_tc2 {GONE_IN}: write {instead} "
        "instead.",
        DeprecationWarning,
        stacklevel=3,
    )
