"""The hypergradient without second derivatives by θ: the Hessian as an identity."""

from collections.abc import Sequence

import tensorflow as tf

from keras_tc2.annotations import Tensor, TwoLists
from keras_tc2.bilevel.hypergradient import Hypergradient, mixed_product, tensors_of
from keras_tc2.bilevel.implicit import implicit_hypergradient


def first_order(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    curvature: float = 1.0,
) -> Hypergradient:
    """Takes H for `curvature` · I, so that x = ∂F/∂θ / curvature.

    Exact where that is the Hessian. With the proximity term (λ/2)‖θ − u‖² as the only
    coupling and `curvature` λ, the gradient for u is ∂F/∂θ itself.

    Args:
        inner_loss: callable `(inner, outer)`, lists of tensors, to the scalar G.
        outer_loss: callable `(inner, outer)` to the scalar F.
        inner: list of tensors or variables, θ, at (or near) the inner optimum.
        outer: list of tensors or variables, u.
        curvature: float > 0. Defaults to `1.0`.

    Returns:
        A `Hypergradient`, its residual NaN: none is measured.

    References:
        - Luketina et al., 2016, arXiv 1511.06727
    """

    inner, outer = tensors_of(inner), tensors_of(outer)

    def solve(target):
        nan = tf.cast(float("nan"), target[0].dtype)
        return [t / curvature for t in target], nan, tf.constant(False)

    return implicit_hypergradient(
        outer_loss,
        inner,
        outer,
        solve=solve,
        mixed=lambda x: mixed_product(inner_loss, inner, outer, x),
        curvature=curvature,
    )
