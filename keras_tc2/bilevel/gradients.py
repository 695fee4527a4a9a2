"""The one place where gradients are taken."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_tc2.annotations import Tensor


def value_and_gradients(
    function: Callable[[Sequence[Tensor]], Any], variables: Sequence[Tensor]
) -> tuple[Any, list[Tensor]]:
    """The value of a function and its gradients, themselves differentiable.

    Calls may be nested: an outer call differentiates through the gradients of an
    inner one.

    Args:
        function: callable that takes `variables` and gives a scalar tensor, or a
            tuple whose first item is that scalar and whose others are passed on.
        variables: list of tensors or `keras.Variable`s.

    Returns:
        `(value, gradients)`: what `function` gave, and a list aligned with
        `variables`; zeros where the value does not depend on one.
    """
    tensors = [getattr(variable, "value", variable) for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        value = function(variables)
        scalar = value[0] if isinstance(value, tuple) else value
    gradients = tape.gradient(scalar, tensors, unconnected_gradients="zero")
    return value, gradients
