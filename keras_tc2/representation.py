"""How objects that are made by arguments show themselves: by those not at a default."""

import inspect
from typing import Any

import keras


class ShownLayer(keras.layers.Layer):
    """A layer that shows its arguments beside its name."""

    def __repr__(self) -> str:
        """As Keras's, and the arguments that are not at their defaults."""
        told = arguments_of(self)
        return f"{super().__repr__()[:-1]}{', ' * bool(told)}{told}>"


def arguments_of(thing: Any) -> str:
    """The constructor arguments of an object that are not at their defaults.

    Args:
        thing: an object that keeps each argument in an attribute of its name, or tells
            it in `get_config`.

    Returns:
        str, such as `"num_factors=8, from_batch=False"`.
    """
    told = []
    for name, default in _defaults(type(thing)).items():
        if hasattr(thing, name):
            value = getattr(thing, name)
        else:
            value = thing.get_config().get(name, default)
        if not _is_default(value, default):
            shown = value.__name__ if inspect.isfunction(value) else repr(value)
            told.append(f"{name}={shown}")
    return ", ".join(told)


def _defaults(cls):
    """The default of each argument, Keras's own left out; of the class's first."""
    defaults = {}
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "keras":
            break
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (
                parameter.POSITIONAL_OR_KEYWORD,
                parameter.KEYWORD_ONLY,
            ):
                defaults.setdefault(parameter.name, parameter.default)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break
    for name in ("name", "dtype", "trainable"):
        defaults.pop(name, None)
    return defaults


def _is_default(value, default):
    if isinstance(value, keras.Initializer):
        same = (value, keras.initializers.get(default))
        value, default = map(keras.initializers.serialize, same)
    if isinstance(value, list | tuple) and isinstance(default, list | tuple):
        return list(value) == list(default)
    return value is default or value == default
