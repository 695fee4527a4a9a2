"""The interface of a protocol: what `evaluate` asks of one dataset."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from keras_tc2.deprecation import old_arguments_of, renamed
from keras_tc2.transfer.protocols.score import Score


class Protocol:
    """One way of measuring features on one dataset.

    A protocol is a small object around a pure function: it reads what it needs from a
    `Downstream` and returns scores. To add one, subclass, set `function` to the pure
    function whose options it takes, write `__call__`, and add a line to `PROTOCOLS` of
    `transfer/registry.py` (or pass the object itself to `evaluate`).

    Args:
        **options: keyword options of `function`, which the signature of a subclass
            spells out; what is left out keeps the function's own default.

    Call arguments:
        downstream: a `Downstream`: one dataset as one encoder sees it.

    Returns:
        List of `Score`, one a row of the report.

    Example:
    ```python
    from keras_tc2 import transfer

    transfer.KNN(k=5).options  # {'k': 5, 'temperature': 0.07}
    ```
    """

    function: ClassVar[Callable[..., Any]]
    __signature__: ClassVar[inspect.Signature | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Gives the class the signature that its options make."""
        super().__init_subclass__(**kwargs)
        # A constructor of its own has a signature of its own.
        is_plain = cls.__init__ is Protocol.__init__ and hasattr(cls, "function")
        cls.__signature__ = inspect.Signature(_options(cls)) if is_plain else None

    def __init__(self, **options: Any) -> None:
        old = old_arguments_of(type(self).function)
        options = renamed(type(self).__name__, options, old)
        defaults = {option.name: option.default for option in _options(type(self))}
        unknown = set(options) - set(defaults)
        if unknown:
            raise ValueError(
                f"{type(self).__name__} takes the options {sorted(defaults)}. "
                f"Received: {sorted(unknown)}"
            )
        self.options = {**defaults, **options}

    def __call__(self, downstream: Any) -> list[Score]:
        """Measures; returns a list of `Score`."""
        raise NotImplementedError


def _options(protocol):
    """The keyword options of the function of a class, as parameters."""
    return [
        parameter
        for parameter in inspect.signature(protocol.function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "seed"
    ]
