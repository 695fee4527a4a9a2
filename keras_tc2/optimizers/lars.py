"""LARS: a learning rate for each weight, in proportion to its size."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import non_negative, positive, probability
from keras_tc2.compat import variable_index


@keras.saving.register_keras_serializable(package="keras_tc2")
class LARS(keras.optimizers.Optimizer):
    """Layer-wise adaptive rate scaling, for large batches.

    For each weight w with gradient g, algorithm 1 of [1] in the form that SimCLR [2]
    and BYOL use, in which the trust ratio scales the decayed gradient:

        u = g + weight_decay · w
        r = trust_coefficient · ‖w‖ / ‖u‖        (1 if either norm is 0)
        v ← momentum · v + learning_rate · r · u
        w ← w − v

    Biases and the scales and shifts of normalisation layers, which are the weights of
    rank one or zero and those named `bias`, `gamma` and `beta`, are excluded: for them
    u = g and r = 1.

    Args:
        learning_rate: float, schedule or callable. [2] has 0.3 for each 256 images of
            the batch. Defaults to `0.3`.
        momentum: float in [0, 1]. Defaults to `0.9`.
        l2_weight_decay: float >= 0. The weight decay above, which enters the gradient
            as the derivative of a penalty does; Keras's own `weight_decay`, which
            shrinks weights apart from the gradient, stays `None`. Defaults to `1e-6`.
        trust_coefficient: float > 0. Defaults to `0.001`.
        exclude: list of str. Other weights whose path contains one of these are
            excluded too. Defaults to none.
        **kwargs: `clipnorm`, `global_clipnorm`, `use_ema`, `name` and so on, as in
            `keras.optimizers.Optimizer`.

    Raises:
        ValueError: if a number is out of its range, or `exclude` a single str.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=900, warmup_target=0.6, warmup_steps=100
    )
    optimizer = tc2.optimizers.LARS(schedule)
    ```

    References:
        - [1] You, Gitman and Ginsburg, 2017, arXiv 1708.03888, algorithm 1
        - [2] Chen et al., 2020, arXiv 2002.05709, section 2.3 and appendix B.9
    """

    def __init__(
        self,
        learning_rate: float | Callable[..., Any] = 0.3,
        *,
        momentum: float = 0.9,
        l2_weight_decay: float = 1e-6,
        trust_coefficient: float = 0.001,
        exclude: Sequence[str] = (),
        name: str = "lars",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = probability("momentum", momentum)
        self.l2_weight_decay = non_negative("l2_weight_decay", l2_weight_decay)
        self.trust_coefficient = positive("trust_coefficient", trust_coefficient)
        if isinstance(exclude, str):
            raise ValueError(
                f"`exclude` must be a list of parts of names, [{exclude!r}]. Received: "
                f"exclude={exclude!r}"
            )
        self.exclude = list(exclude)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates a velocity v for each variable."""
        if self.built:
            return
        super().build(variables)
        self._excluded = [self._is_excluded(variable) for variable in variables]
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        """Moves one variable."""
        gradient = ops.cast(gradient, variable.dtype)
        learning_rate = ops.cast(learning_rate, variable.dtype)
        index = variable_index(self, variable)
        velocity = self.velocities[index]
        if not self._excluded[index]:
            gradient = gradient + self.l2_weight_decay * variable
            gradient = self._trust_ratio(variable, gradient) * gradient
        self.assign(velocity, self.momentum * velocity + learning_rate * gradient)
        self.assign_sub(variable, velocity)

    def _trust_ratio(self, variable, update):
        variable_norm = ops.sqrt(ops.sum(ops.square(variable)))
        update_norm = ops.sqrt(ops.sum(ops.square(update)))
        usable = ops.logical_and(variable_norm > 0, update_norm > 0)
        ratio = variable_norm / ops.where(usable, update_norm, 1.0)
        return ops.where(usable, self.trust_coefficient * ratio, 1.0)

    def _is_excluded(self, variable):
        # Those of attention have a row for each head.
        small = len(variable.shape) <= 1 or variable.name in ("bias", "gamma", "beta")
        return small or any(part in variable.path for part in self.exclude)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "l2_weight_decay": self.l2_weight_decay,
            "trust_coefficient": self.trust_coefficient,
            "exclude": self.exclude,
        }
