"""The interface of a protocol: what `evaluate` asks of one dataset."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from keras_tc2.transfer.protocols.score import Score


class Protocol:
    """One way of measuring features on one dataset.

    A protocol is a small object around a pure function: it reads what it needs from a
    `Downstream` and returns scores. To add one, subclass, set `function` to the pure
    function whose options it takes, write `__call__`, and add a line to
    `protocols.PROTOCOLS` (or pass the object itself to `evaluate`).

    Args:
        **options: keyword options of `function`; what is left out keeps the
            function's own default.

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

    def __init__(self, **options: Any) -> None:
        parameters = inspect.signature(type(self).function).parameters
        defaults = {
            name: parameter.default
            for name, parameter in parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name != "seed"
        }
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
