"""The implicit hypergradient from gradients alone: products by central differences."""

from collections.abc import Sequence

import tensorflow as tf

from keras_tc2.annotations import Tensor, TwoLists
from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.hypergradient import Hypergradient, combine, norm, tensors_of
from keras_tc2.bilevel.implicit import implicit_hypergradient
from keras_tc2.bilevel.linear_solvers import solve_conjugate_gradient


def finite_difference(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    num_iterations: int = 5,
    damping: float = 0.0,
    tolerance: float = 1e-10,
    relative_step: float = 1e-2,
    curvature: float = 1.0,
) -> Hypergradient:
    """`conjugate_gradient` whose products are differences of two gradients.

    H v ≈ (∇_θ G(θ + εv) − ∇_θ G(θ − εv)) / 2ε, and the mixed product likewise, with
    ε = `relative_step` / ‖v‖. No second derivative is taken, so it also serves layers
    that have none; its error is O(ε²) and, in float32, rounding.

    Args:
        inner_loss: callable `(inner, outer)`, lists of tensors, to the scalar G.
        outer_loss: callable `(inner, outer)` to the scalar F.
        inner: list of tensors or variables, θ, at (or near) the inner optimum.
        outer: list of tensors or variables, u.
        num_iterations: int >= 1. Conjugate gradient iterations. Defaults to `5`.
        damping: float >= 0. Added to the Hessian's diagonal. Defaults to `0.0`.
        tolerance: float >= 0. Relative residual to stop at. Defaults to `1e-10`.
        relative_step: float > 0. Length of the step in θ. Defaults to `1e-2`.
        curvature: float > 0. What H is taken for, times the identity, where a guard
            stops the solver before its first step. Defaults to `1.0`.

    Returns:
        A `Hypergradient`.

    References:
        - Liu et al., 2019, arXiv 1806.09055, equation 8
    """
    inner, outer = tensors_of(inner), tensors_of(outer)
    count = len(inner)

    def difference(vectors):
        """Derivative of (∇_θ G, ∇_u G) along `vectors` in θ."""
        return gradient_difference(
            lambda both: inner_loss(both[:count], both[count:]),
            [*inner, *outer],
            vectors,
            relative_step=relative_step,
        )

    def product(vectors):
        return combine(difference(vectors)[:count], damping, vectors)

    def solve(target):
        return solve_conjugate_gradient(
            product,
            target,
            num_iterations=num_iterations,
            tolerance=tolerance,
            per_tensor=False,
        )

    return implicit_hypergradient(
        outer_loss,
        inner,
        outer,
        solve=solve,
        mixed=lambda x: difference(x)[count:],
        curvature=curvature,
    )


def gradient_difference(loss, weights, vectors, *, relative_step):
    """The derivative of ∇loss along a direction, by central differences.

    Args:
        loss: callable from a list of tensors to a scalar.
        weights: list of tensors.
        vectors: list of tensors like the first of `weights`, which alone are moved.
        relative_step: float > 0. Length of the step.

    Returns:
        List of tensors like `weights`.
    """
    step = relative_step / tf.maximum(norm(vectors), 1e-30)
    rest = weights[len(vectors) :]
    ends = []
    for sign in (1, -1):
        moved = combine(weights[: len(vectors)], sign * step, vectors)
        ends.append(value_and_gradients(loss, [*moved, *rest])[1])
    return [(a - b) / (2 * step) for a, b in zip(*ends, strict=True)]
