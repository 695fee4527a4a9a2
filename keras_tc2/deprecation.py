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

        # Of a constructor, the class.
        shown = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

        @functools.wraps(function)
        def with_old_arguments(*args, **kwargs):
            return function(*args, **renamed(shown, kwargs, names))

        with_old_arguments.old_arguments = names
        return with_old_arguments

    return decorate


def old_arguments_of(function: Any) -> Mapping[str, str]:
    """What `old_arguments` was given, of a function or the constructor of a class.

    Args:
        function: function, class or `None`.

    Returns:
        Dict from old names to new ones, empty where there are none.

    Example:
    ```python
    from keras_tc2.deprecation import old_arguments, old_arguments_of

    @old_arguments(lr="learning_rate")
    def fit(*, learning_rate):
        return learning_rate

    print(old_arguments_of(fit))  # {'lr': 'learning_rate'}
    ```
    """
    if inspect.isclass(function):
        function = function.__init__
    return getattr(function, "old_arguments", {})


def renamed(
    owner: str, arguments: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """Arguments by their new names; warns of old ones where the caller was called.

    Args:
        owner: str, whose they are.
        arguments: dict of them.
        names: dict from old names to new ones.

    Raises:
        TypeError: if an argument is there under both.

    Example:
    ```python
    from keras_tc2.deprecation import renamed

    def fit(**arguments):
        return renamed("fit", arguments, {"lr": "learning_rate"})

    print(fit(lr=0.1))  # {'learning_rate': 0.1}, and a DeprecationWarning
    ```
    """
    found = dict(arguments)
    for old in names.keys() & arguments.keys():
        new = names[old]
        if new in found:
            raise TypeError(
                f"`{owner}` takes `{new}` alone: `{old}` is its old name. Received: "
                "both"
            )
        warn(f"`{owner}({old}=)`", f"`{new}=`", stacklevel=4)
        found[new] = found.pop(old)
    return found


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


def old_attribute(old: str, new: str) -> property:
    """An attribute under its old name, which warns with `DeprecationWarning`.

    Args:
        old: str, the name that goes.
        new: str, the name of the attribute that is the same.

    Returns:
        Property for the body of the class.

    Example:
    ```python
    from keras_tc2.deprecation import old_attribute

    class Model:
        rate = 0.1
        lr = old_attribute("lr", "rate")

    print(Model().lr)  # 0.1, and a DeprecationWarning
    ```
    """

    def attribute(self):
        warn(f"`{type(self).__name__}.{old}`", f"`{new}`")
        return getattr(self, new)

    return property(attribute, doc=f"Deprecated: `{new}`.")


def warn(old: str, instead: str, *, stacklevel: int = 3) -> None:
    """Warns, at the line that called the function which calls this one.

    Args:
        old: str, what goes.
        instead: str, what to write instead.
        stacklevel: int >= 1, of `warnings.warn`. Defaults to `3`.

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
        stacklevel=stacklevel,
    )
