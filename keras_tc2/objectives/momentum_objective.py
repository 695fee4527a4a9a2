"""What objectives with a momentum target share: the argument `momentum`."""

from collections.abc import Callable
from typing import Any, Self

import keras

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import probability
from keras_tc2.objectives.objective import Objective


class MomentumObjective(Objective):
    """Base class of objectives whose targets come from a moving average.

    Args:
        momentum: float in [0, 1], or a function of the number of updates so far such
            as `optimizers.MomentumSchedule`, an object with `get_config`. The share
            of the moving average that stays at each update.
        gather: bool. See `Objective`.

    Raises:
        ValueError: if `momentum` is neither.
    """

    def __init__(
        self, *, momentum: float | Callable[[Tensor], Tensor], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum if callable(momentum) else _number(momentum)

    def get_config(self) -> Config:
        """The constructor arguments."""
        momentum = self.momentum
        if callable(momentum):
            momentum = keras.saving.serialize_keras_object(momentum)
        return {"momentum": momentum, **super().get_config()}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The objective that `get_config` described."""
        momentum = config["momentum"]
        if isinstance(momentum, dict):
            momentum = keras.saving.deserialize_keras_object(momentum)
        return cls(**{**config, "momentum": momentum})


def _number(momentum):
    try:
        return probability("momentum", momentum)
    except ValueError as error:
        raise ValueError(
            "`momentum` must be a number in [0, 1] or a function of the step, such as "
            f"`optimizers.MomentumSchedule`. Received: momentum={momentum!r}"
        ) from error
