"""The hypergradient through the inner steps themselves, exact to second order."""

from collections.abc import Sequence

import tensorflow as tf

from keras_tc2.annotations import Tensor, TwoLists
from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.hypergradient import Hypergradient, tensors_of
from keras_tc2.bilevel.inner_loop import adapt


def unrolled(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    num_steps: int = 1,
    learning_rate: float = 0.1,
) -> Hypergradient:
    """Descends G from `inner`, and differentiates F at the end by u, step by step.

    Exact for the descent as it is, optimum or not; tends to the implicit hypergradient
    as the descent converges. Memory grows with the steps.

    Args:
        inner_loss: callable `(inner, outer)`, lists of tensors, to the scalar G.
        outer_loss: callable `(inner, outer)` to the scalar F.
        inner: list of tensors or variables, where the descent starts.
        outer: list of tensors or variables, u.
        num_steps: int >= 1. Defaults to `1`.
        learning_rate: float > 0. Defaults to `0.1`.

    Returns:
        A `Hypergradient`, its residual NaN: no system is solved.

    References:
        - Franceschi et al., 2018, arXiv 1806.04910
    """
    inner = tensors_of(inner)

    def loss(outer):
        fast_weights, _, _ = adapt(
            lambda weights: inner_loss(weights, outer),
            inner,
            learning_rate=learning_rate,
            num_steps=num_steps,
            order=2,
        )
        return outer_loss(fast_weights, outer)

    value, gradients = value_and_gradients(loss, tensors_of(outer))
    nan = tf.cast(float("nan"), value.dtype)
    return Hypergradient(gradients, value, nan, tf.constant(False))
