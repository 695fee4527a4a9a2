"""Hessian-vector products that share one forward pass and one gradient."""

import tensorflow as tf


def hessian_of(loss, weights):
    """Gives `product(vectors) = H vectors`, H the Hessian of `loss` at `weights`.

    Reverse over reverse. Loss and gradient are computed once, here; every product
    differentiates the gradient that is there, so that several products with one
    Hessian, as in conjugate gradients, share the forward pass and the first gradient.

    Args:
        loss: callable from a list of tensors to a scalar.
        weights: list of tensors.

    Returns:
        `product`, from a list of tensors like `weights` to another.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
        outer.watch(weights)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(weights)
            value = loss(weights)
        gradients = inner.gradient(value, weights, unconnected_gradients="zero")

    def product(vectors):
        return outer.gradient(
            gradients,
            weights,
            output_gradients=vectors,
            unconnected_gradients="zero",
        )

    return product
