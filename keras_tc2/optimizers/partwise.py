"""One optimizer for each part of a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import keras

from keras_tc2.annotations import Config, Tensor


@keras.saving.register_keras_serializable(package="keras_tc2")
class Partwise(keras.optimizers.Optimizer):
    """Updates the variables of each part of a model by an optimizer of its own.

    For an encoder that learns slower than a new head: two optimizers, since Adam undoes
    a factor on gradients. It is one optimizer to Keras, so that a loss scale around it,
    `fit` and saving work as with any other.

    Args:
        optimizers: list of Keras optimizers. `learning_rate` and `iterations` are those
            of the first.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    first, second = keras.layers.Dense(2), keras.layers.Dense(3)
    model = keras.Sequential([keras.Input((4,)), first, second])
    optimizer = tc2.optimizers.Partwise(
        [keras.optimizers.SGD(0.1), keras.optimizers.Adam(1e-3)]
    )
    optimizer.divide([first.trainable_variables, second.trainable_variables])
    model.compile(optimizer, loss="mse")
    ```
    """

    def __init__(
        self, optimizers: Sequence[keras.Optimizer], name: str = "partwise"
    ) -> None:
        super().__init__(learning_rate=0.0, name=name)
        self.optimizers = list(optimizers)
        self._part_of: dict[int, int] = {}

    def divide(self, parts: Sequence[Sequence[keras.Variable]]) -> None:
        """Builds each optimizer on its variables.

        Args:
            parts: list of lists of variables, one for each optimizer.

        Raises:
            ValueError: if there are more or fewer lists than optimizers.
        """
        if len(parts) != len(self.optimizers):
            raise ValueError(
                f"`parts` must be {len(self.optimizers)} lists of variables, one for "
                f"each optimizer. Received: {len(parts)}"
            )
        for number, (optimizer, variables) in enumerate(
            zip(self.optimizers, parts, strict=True)
        ):
            optimizer.build(variables)
            self._part_of |= {id(variable): number for variable in variables}
        self.built = True

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Nothing: `divide` has built every optimizer.

        Raises:
            ValueError: if it was not called.
        """
        if not self.built:
            raise ValueError("Call `divide` before the model is compiled with this.")

    def apply(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Any = None,
    ) -> None:
        """Each optimizer's update of its variables."""
        gradients: list[list[Tensor]] = [[] for _ in self.optimizers]
        variables: list[list[keras.Variable]] = [[] for _ in self.optimizers]
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if id(variable) not in self._part_of:
                raise ValueError(
                    f"{variable.path} belongs to no part: compile the model again "
                    "after layers were unfrozen."
                )
            number = self._part_of[id(variable)]
            gradients[number].append(gradient)
            variables[number].append(variable)
        for optimizer, part, own in zip(
            self.optimizers, gradients, variables, strict=True
        ):
            if own:
                optimizer.apply(part, own)

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of all optimizers."""
        return [v for optimizer in self.optimizers for v in optimizer.variables]

    @property
    def iterations(self) -> keras.Variable:
        """Updates made by the first."""
        return self.optimizers[0].iterations

    @property
    def learning_rate(self) -> Any:
        """That of the first."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | Callable[..., Any]) -> None:
        self.optimizers[0].learning_rate = learning_rate

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """What each optimizer does at the end, such as taking averaged weights."""
        for number, optimizer in enumerate(self.optimizers):
            own = [v for v in var_list if self._part_of.get(id(v)) == number]
            optimizer.finalize_variable_values(own)

    def get_config(self) -> Config:
        """The optimizers."""
        return {
            "name": self.name,
            "optimizers": [
                keras.optimizers.serialize(optimizer) for optimizer in self.optimizers
            ],
        }

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """The optimizer that `get_config` described."""
        optimizers = [
            keras.optimizers.deserialize(one, custom_objects=custom_objects)
            for one in config["optimizers"]
        ]
        return cls(optimizers, name=config["name"])
