"""The schedule of a moving average's momentum: from a start up to one."""

from typing import Self

import keras
import numpy as np
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import integer, probability
from keras_tc2.representation import arguments_of


@keras.saving.register_keras_serializable(package="keras_tc2")
class MomentumSchedule:
    """Raises the momentum of a target network along a cosine.

    The momentum after k of K updates is, as in section 3.3 of [1],

        m(k) = end − (end − start) · (cos(π k / K) + 1) / 2,

    and `end` from then on: the target first follows the online network, and comes to
    rest.

    Args:
        start: float in [0, 1]. Momentum of the first update.
        num_steps: int >= 1. K, usually all the updates of a run.
        end: float in [0, 1]. Defaults to `1.0`.

    Call arguments:
        step: int scalar, the number of updates so far.

    Returns:
        Float scalar tensor.

    Raises:
        ValueError: if a momentum is outside [0, 1] or `num_steps` below one.

    Example:
    ```python
    import keras_tc2 as tc2

    momentum = tc2.optimizers.MomentumSchedule(0.99, num_steps=10_000)
    objective = tc2.objectives.BYOL(momentum=momentum)
    ```

    References:
        - [1] Grill et al., 2020, arXiv 2006.07733, section 3.3
    """

    def __init__(self, start: float, num_steps: int, *, end: float = 1.0) -> None:
        self.start = probability("start", start)
        self.num_steps = integer("num_steps", num_steps)
        self.end = probability("end", end)

    def __call__(self, step: Tensor) -> Tensor:
        """The momentum of the update that follows `step` updates."""
        share = ops.cast(step, keras.config.floatx()) / self.num_steps
        cosine = ops.cos(np.pi * ops.minimum(share, 1.0))
        return self.end - (self.end - self.start) * (cosine + 1) / 2

    def __repr__(self) -> str:
        """The call that makes it, without what is at its default."""
        return f"{type(self).__name__}({arguments_of(self)})"

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {"start": self.start, "num_steps": self.num_steps, "end": self.end}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The schedule that `get_config` described."""
        return cls(**config)
