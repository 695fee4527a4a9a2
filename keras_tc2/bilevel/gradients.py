"""The one place where gradients are taken."""

import tensorflow as tf


def value_and_gradients(function, variables):
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
