"""Hypergradients of any two losses, which nothing here calls: gone with their names.

For an inner problem θ*(u) = argmin_θ G(θ, u) and an outer loss F(θ, u), the
hypergradient is, by the implicit function theorem at θ = θ*(u),

    dF/du = ∂F/∂u − (∂²G/∂u∂θ) H⁻¹ ∂F/∂θ,    H = ∂²G/∂θ².

The methods differ in how they get x = H⁻¹ ∂F/∂θ. Of each, `inner_loss` and `outer_loss`
are callables of two lists, `(inner, outer)`, to the scalars G and F; `inner` and
`outer` lists of tensors or variables, θ and u; `curvature`, a float > 0, is what H is
taken for, times the identity, where a guard stops the solver. Each gives a
`Hypergradient`.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from keras_tc2.annotations import Tensor
from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.hessian import gradient_difference, hessian_of
from keras_tc2.bilevel.inner_loop import adapt
from keras_tc2.bilevel.linear_solvers import solve_conjugate_gradient, solve_neumann
from keras_tc2.bilevel.proximal import Hypergradient
from keras_tc2.bilevel.tensor_lists import combine, dot, tensors_of

TwoLists: TypeAlias = Callable[[Any, Any], Tensor]


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
    """Solves (H + δI) x = ∂F/∂θ by conjugate gradients; δ is `damping`."""
    inner, outer = tensors_of(inner), tensors_of(outer)
    hessian = hessian_of(lambda weights: inner_loss(weights, outer), inner)

    def solve(target):
        return solve_conjugate_gradient(
            lambda vectors: combine(hessian(vectors), damping, vectors),
            target,
            num_iterations=num_iterations,
            tolerance=tolerance,
            per_tensor=per_tensor,
        )

    mixed = _mixed_product(inner_loss, inner, outer)
    return _implicit(outer_loss, inner, outer, solve, mixed, curvature)


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
    """Takes H⁻¹ ≈ s Σ_k (I − sH)ᵏ, k = 0 … `num_terms`; s is `step_size`."""
    inner, outer = tensors_of(inner), tensors_of(outer)
    hessian = hessian_of(lambda weights: inner_loss(weights, outer), inner)

    def solve(target):
        return solve_neumann(hessian, target, num_terms=num_terms, step_size=step_size)

    mixed = _mixed_product(inner_loss, inner, outer)
    return _implicit(outer_loss, inner, outer, solve, mixed, curvature)


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
    """`conjugate_gradient` whose products are differences of two gradients."""
    inner, outer = tensors_of(inner), tensors_of(outer)
    count = len(inner)

    def difference(vectors):
        return gradient_difference(
            lambda both: inner_loss(both[:count], both[count:]),
            [*inner, *outer],
            [*vectors, *map(tf.zeros_like, outer)],
            length=relative_step,
        )

    def solve(target):
        return solve_conjugate_gradient(
            lambda vectors: combine(difference(vectors)[:count], damping, vectors),
            target,
            num_iterations=num_iterations,
            tolerance=tolerance,
            per_tensor=False,
        )

    def mixed(vectors):
        return difference(vectors)[count:]

    return _implicit(outer_loss, inner, outer, solve, mixed, curvature)


def first_order(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    curvature: float = 1.0,
) -> Hypergradient:
    """Takes H for `curvature` · I, so that x = ∂F/∂θ / curvature."""
    inner, outer = tensors_of(inner), tensors_of(outer)

    def solve(target):
        nan = tf.cast(float("nan"), target[0].dtype)
        return [t / curvature for t in target], nan, tf.constant(False)

    mixed = _mixed_product(inner_loss, inner, outer)
    return _implicit(outer_loss, inner, outer, solve, mixed, curvature)


def unrolled(
    inner_loss: TwoLists,
    outer_loss: TwoLists,
    inner: Sequence[Tensor],
    outer: Sequence[Tensor],
    *,
    num_steps: int = 1,
    learning_rate: float = 0.1,
) -> Hypergradient:
    """Descends G from `inner`, and differentiates F at the end by u, step by step."""
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


def _implicit(outer_loss, inner, outer, solve, mixed, curvature):
    """From a solver of H x = ∂F/∂θ to ∂F/∂u − (∂²G/∂u∂θ) x, with its fallback."""
    count = len(inner)
    value, gradients = value_and_gradients(
        lambda both: outer_loss(both[:count], both[count:]), [*inner, *outer]
    )
    target, direct = gradients[:count], gradients[count:]
    solution, residual, stopped = solve(target)
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in solution])
    fallback = (stopped & (residual >= 1)) | ~finite
    solution = [
        tf.where(fallback, t / curvature, x)
        for x, t in zip(solution, target, strict=True)
    ]
    gradients = combine(direct, -1.0, mixed(solution))
    return Hypergradient(gradients, value, residual, fallback)


def _mixed_product(inner_loss, inner, outer):
    """Gives v to ∂/∂u ⟨∇_θ G(θ, u), v⟩, a list of tensors aligned with `outer`."""
    count = len(inner)

    def mixed(vectors):
        def product(outer):
            _, gradients = value_and_gradients(
                lambda both: inner_loss(both[:count], both[count:]), [*inner, *outer]
            )
            return dot(gradients[:count], vectors)

        return value_and_gradients(product, outer)[1]

    return mixed
