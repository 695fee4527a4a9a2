"""A loss of one's own, given as a bare function."""

import functools
import inspect
from collections.abc import Callable
from typing import Self

import keras

from keras_tc2.annotations import Config, Tensor
from keras_tc2.objectives.objective import Objective


@keras.saving.register_keras_serializable(package="keras_tc2")
class FunctionObjective(Objective):
    """Wraps a function of two views' embeddings, without arguments of its own.

    What `objective=my_loss` becomes. A loss with a head, targets or saved arguments is
    a subclass of `Objective`.

    Args:
        function: callable `function(embeddings_1, embeddings_2)` of two float tensors
            `(batch, dim)`, not normalised, that returns a scalar tensor; or a
            `functools.partial` of a function with further arguments. Register it
            with `keras.saving.register_keras_serializable` to load a saved pretrainer
            without naming it in `custom_objects`.
        gather: bool. Whether the batch is global under a `tf.distribute` strategy.
            Defaults to `False`.

    Raises:
        ValueError: if it cannot be called with two tensors.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    def squared_distance(embeddings_1, embeddings_2):
        return keras.ops.mean(keras.ops.square(embeddings_1 - embeddings_2))

    encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1))
    model = tc2.SSLPretrainer(encoder, objective=squared_distance)
    ```
    """

    def __init__(
        self, function: Callable[[Tensor, Tensor], Tensor], *, gather: bool = False
    ) -> None:
        super().__init__(gather=gather)
        self.function = checked_function(function)

    def compute_loss(self, embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(embeddings_1, embeddings_2)

    def get_config(self) -> Config:
        """The constructor arguments; a partial function and what it is given apart."""
        function, given = self.function, {}
        if isinstance(function, functools.partial):
            given = {"args": list(function.args), "keywords": function.keywords}
            function = function.func
        parts = {"function": function, **given}
        return {**super().get_config(), **keras.saving.serialize_keras_object(parts)}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The objective that `get_config` described."""
        config = keras.saving.deserialize_keras_object(config)
        args, keywords = config.pop("args", []), config.pop("keywords", {})
        if args or keywords:
            config["function"] = functools.partial(
                config["function"], *args, **keywords
            )
        return cls(**config)


def checked_function(function):
    """Returns `function`, if it takes two tensors; raises `ValueError` otherwise."""
    if not callable(function):
        raise ValueError(
            "`function` must be a function of two tensors of embeddings. Received: "
            f"function={function!r}"
        )
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        raise ValueError(
            "An objective given as a function is called as "
            "`function(embeddings_1, embeddings_2)`; give further arguments their "
            f"defaults. Received: {function!r} ({error})"
        ) from error
    return function
