"""The implicit hypergradient by a truncated Neumann series."""

from collections.abc import Sequence

from keras_tc2.annotations import Tensor, TwoLists
from keras_tc2.bilevel.hessian import hessian_of
from keras_tc2.bilevel.hypergradient import Hypergradient, mixed_product, tensors_of
from keras_tc2.bilevel.implicit import implicit_hypergradient
from keras_tc2.bilevel.linear_solvers import solve_neumann


def neumann(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    num_terms: int = 5,
    step_size: float = 0.1,
    curvature: float = 1.0,
) -> Hypergradient:
    """Takes H⁻¹ ≈ s Σ_k (I − sH)ᵏ, k = 0 … `num_terms`.

    The same as unrolling that many steps of gradient descent at the inner optimum.

    Args:
        inner_loss: callable `(inner, outer)`, lists of tensors, to the scalar G.
        outer_loss: callable `(inner, outer)` to the scalar F.
        inner: list of tensors or variables, θ, at (or near) the inner optimum.
        outer: list of tensors or variables, u.
        num_terms: int >= 1. Hessian-vector products. Defaults to `5`.
        step_size: float > 0. s, below 2 over H's largest eigenvalue. Defaults to
            `0.1`.
        curvature: float > 0. What H is taken for, times the identity, where the series
            diverges. Defaults to `1.0`.

    Returns:
        A `Hypergradient`.

    References:
        - Lorraine et al., 2020, arXiv 1911.02590, algorithm 3
    """

    inner, outer = tensors_of(inner), tensors_of(outer)
    hessian = hessian_of(lambda weights: inner_loss(weights, outer), inner)
    return implicit_hypergradient(
        outer_loss,
        inner,
        outer,
        solve=lambda target: solve_neumann(
            hessian, target, num_terms=num_terms, step_size=step_size
        ),
        mixed=lambda x: mixed_product(inner_loss, inner, outer, x),
        curvature=curvature,
    )
