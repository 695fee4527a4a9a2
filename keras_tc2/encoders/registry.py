"""The encoders that can be asked for by name."""

import inspect
from collections.abc import Callable
from typing import TypeVar

import keras

from keras_tc2.checks import did_you_mean

Builder = TypeVar("Builder", bound=Callable[..., keras.Model])

_BUILDERS: dict[str, Callable[..., keras.Model]] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Decorator that makes a function the builder of the encoder `name`.

    A builder takes `input_shape` (height, width, channels), and keyword-only
    arguments with defaults that JSON can hold. It returns the backbone: a
    `keras.Model` from float images in [0, 1] to a feature map
    `(batch, height, width, dim)`, tokens `(batch, tokens, dim)` or features
    `(batch, dim)`. Pooling, per-channel normalisation and the twice-differentiable
    normalisation layers are added by `create`.

    A published encoder names its builder, and is only ever built by a builder that
    the loading process has registered. So check the arguments: they may come from a
    stranger's file.

    Args:
        name: str. The name to ask for in `create`.

    Returns:
        The decorator; the function stays what it was.

    Raises:
        ValueError: if the name is taken, or an argument other than `input_shape`
            lacks a default.

    Example:
    ```python
    import keras
    import keras_tc2

    @keras_tc2.encoders.register("one_layer")
    def one_layer(input_shape, *, width=8):
        return keras.Sequential(
            [keras.Input(input_shape), keras.layers.Conv2D(width, 3)]
        )

    encoder = keras_tc2.encoders.create("one_layer", input_shape=(8, 8, 1), width=4)
    assert encoder.feature_dim == 4
    ```
    """

    def decorate(builder):
        known = _BUILDERS.get(name)
        if known is not None and _origin(known) != _origin(builder):
            raise ValueError(
                f"An encoder named {name!r} is registered already, by "
                f"{known.__module__}.{known.__qualname__}. Choose another name."
            )
        for argument in list(inspect.signature(builder).parameters.values())[1:]:
            if argument.default is inspect.Parameter.empty:
                raise ValueError(
                    f"Each argument of a builder but `input_shape` needs a default. "
                    f"Without one: `{argument.name}` of {builder.__qualname__}"
                )
        _BUILDERS[name] = builder
        return builder

    return decorate


def names() -> list[str]:
    """The names that `create` knows, sorted; a list of str."""
    return sorted(_BUILDERS)


def builder_named(name):
    """The builder registered as `name`.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    if name not in _BUILDERS:
        raise ValueError(
            f"Unknown encoder {name!r}.{did_you_mean(name, names())} "
            f"Known encoders: {', '.join(names())}. "
            f"An encoder of your own becomes known when the module that calls "
            f"`keras_tc2.encoders.register({name!r})` is imported."
        )
    return _BUILDERS[name]


def complete_arguments(name, arguments):
    """`arguments` for the builder `name`, joined with the defaults of the others.

    Returns:
        dict, each argument but `input_shape`, in the order of the signature.

    Raises:
        ValueError: if the builder has no such argument.
    """
    parameters = dict(inspect.signature(builder_named(name)).parameters)
    parameters.pop("input_shape")
    unknown = [key for key in arguments if key not in parameters]
    if unknown:
        raise ValueError(
            f"The encoder {name!r} has no argument `{unknown[0]}`."
            f"{did_you_mean(unknown[0], parameters)} Its arguments: "
            f"{', '.join(parameters) or 'none'}"
        )
    return {key: arguments.get(key, p.default) for key, p in parameters.items()}


def _origin(builder):
    return builder.__module__, builder.__qualname__
