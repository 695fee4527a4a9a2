"""Hessian-vector products: exact, or from gradients alone."""

import tensorflow as tf

from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.tensor_lists import combine, norm


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
        _, gradients = value_and_gradients(loss, weights)

    def product(vectors):
        return outer.gradient(
            gradients,
            weights,
            output_gradients=vectors,
            unconnected_gradients="zero",
        )

    return product


def gradient_difference(loss, weights, vectors, *, length):
    """H v ≈ (∇loss(θ + εv) − ∇loss(θ − εv)) / 2ε, with ε = `length` / ‖v‖.

    No second derivative is taken, so it also serves layers that have none; its error is
    O(ε²) and, in float32, rounding [1].

    Args:
        loss: callable from a list of tensors to a scalar.
        weights: list of tensors, θ.
        vectors: list of tensors like `weights`, v.
        length: float > 0. How far θ is moved, either way.

    Returns:
        List of tensors like `weights`.

    References:
        - [1] Liu et al., 2019, arXiv 1806.09055, equation 8
    """
    step = length / tf.maximum(norm(vectors), 1e-30)
    ends = [
        value_and_gradients(loss, combine(weights, sign * step, vectors))[1]
        for sign in (1, -1)
    ]
    return [(a - b) / (2 * step) for a, b in zip(*ends, strict=True)]
