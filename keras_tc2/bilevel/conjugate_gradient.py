"""The implicit hypergradient by conjugate gradients."""

from collections.abc import Sequence

from keras_tc2.annotations import Tensor, TwoLists
from keras_tc2.bilevel.hessian import hessian_of
from keras_tc2.bilevel.hypergradient import (
    Hypergradient,
    combine,
    mixed_product,
    tensors_of,
)
from keras_tc2.bilevel.implicit import implicit_hypergradient
from keras_tc2.bilevel.linear_solvers import solve_conjugate_gradient


def conjugate_gradient(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    num_iterations: int = 5,
    damping: float = 0.0,
    tolerance: float = 1e-10,
    per_tensor: bool = False,
    curvature: float = 1.0,
) -> Hypergradient:
    """Solves (H + δI) x = ∂F/∂θ by global, damped, guarded conjugate gradients.

    Args:
        inner_loss: callable `(inner, outer)`, lists of tensors, to the scalar G.
        outer_loss: callable `(inner, outer)` to the scalar F.
        inner: list of tensors or variables, θ, at (or near) the inner optimum.
        outer: list of tensors or variables, u.
        num_iterations: int >= 1. Hessian-vector products. Defaults to `5`.
        damping: float >= 0. δ. Defaults to `0.0`.
        tolerance: float >= 0. Relative residual to stop at. Defaults to `1e-10`.
        per_tensor: bool. Step sizes tensor by tensor; see
            `solve_conjugate_gradient`. Defaults to `False`.
        curvature: float > 0. What H is taken for, times the identity, where a guard
            stops the solver before its first step. Defaults to `1.0`.

    Returns:
        A `Hypergradient`.

    References:
        - Pedregosa, 2016, arXiv 1602.02355; Rajeswaran et al., 2019, arXiv 1909.04630
    """

    inner, outer = tensors_of(inner), tensors_of(outer)
    hessian = hessian_of(lambda weights: inner_loss(weights, outer), inner)

    def product(vectors):
        return combine(hessian(vectors), damping, vectors)

    def solve(target):
        return solve_conjugate_gradient(
            product,
            target,
            num_iterations=num_iterations,
            tolerance=tolerance,
            per_tensor=per_tensor,
        )

    return implicit_hypergradient(
        outer_loss,
        inner,
        outer,
        solve=solve,
        mixed=lambda x: mixed_product(inner_loss, inner, outer, x),
        curvature=curvature,
    )
