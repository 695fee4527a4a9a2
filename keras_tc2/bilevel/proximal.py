"""The hypergradient where a proximity term ties lower weights to upper ones: BiSSL."""

import dataclasses
import typing
from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_tc2.annotations import Tensor
from keras_tc2.bilevel.hessian import gradient_difference, hessian_of
from keras_tc2.bilevel.linear_solvers import solve_conjugate_gradient, solve_neumann
from keras_tc2.bilevel.tensor_lists import combine, tensors_of
from keras_tc2.checks import one_of

# Length of the step of finite differences. Across the kinks of ReLU, shorter is worse.
STEP = 1e-2


@dataclasses.dataclass(frozen=True)
class Hypergradient:
    """The gradient of an outer loss through the inner solution.

    Attributes:
        gradients: list of tensors, dF/du, aligned with the outer weights.
        outer_loss: scalar tensor, F where it was evaluated.
        residual: scalar tensor ‖H x − g‖ / ‖g‖ of the linear system, NaN where none
            is solved or measured.
        fallback: bool scalar tensor. Whether a guard stopped the solver, and g stood in
            for its solution.
    """

    gradients: list
    outer_loss: typing.Any
    residual: typing.Any
    fallback: typing.Any


def proximal_hypergradient(
    loss: Callable[[Sequence[Tensor]], Tensor],
    weights: Sequence[Tensor],
    target: Sequence[Tensor],
    *,
    solver: str,
    proximity: float,
    damping: float,
    num_iterations: int,
    tolerance: float,
    per_tensor: bool,
    total: Callable[[list[Tensor]], list[Tensor]] = list,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Solves (I + H / (λ + δ)) x = g.

    Of the lower problem min_θ G(θ) + (λ/2) ‖θ − u‖², with H = ∇²G at its solution θ*
    and g = ∂F/∂θ there, dF(θ*(u))/du is (I + H / λ)⁻¹ g. The damping δ keeps the system
    positive definite where H is not.

    Where a guard stops the solver, or its solution is not finite or leaves a residual
    above that of x = 0, x = g, which is the hypergradient for H = 0.

    Args:
        loss: callable from a list of tensors to the scalar G.
        weights: list of tensors or variables, θ*.
        target: list of tensors, g.
        solver: `"conjugate_gradient"`; `"neumann"`, the series
            Σ_k (−H / (λ + δ))ᵏ g, which converges where ‖H‖ < λ + δ;
            `"finite_difference"`, conjugate gradients whose products are differences
            of gradients; `"identity"`, x = g without looking at H.
        proximity: float > 0. λ.
        damping: float >= 0. δ.
        num_iterations: int >= 1. At most this many Hessian-vector products; of the
            series one more.
        tolerance: float >= 0. Relative residual at which conjugate gradients stop.
        per_tensor: bool. See `solve_conjugate_gradient`.
        total: callable from a list of tensors to one: the sum over replicas, where
            `loss` is a replica's share of G.

    Returns:
        `(x, residual, fallback)`: list of tensors, ‖g − A x‖ / ‖g‖ as the solver has
        it (NaN for `"identity"`), and whether x = g stood in for its solution.

    Raises:
        ValueError: if there is no solver of that name.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2.bilevel import proximal_hypergradient

    x, residual, fallback = proximal_hypergradient(
        lambda weights: tf.reduce_sum(weights[0] ** 2),  # H = 2 I
        [tf.constant([1.0, -3.0])],
        [tf.constant([3.0, 6.0])],
        solver="conjugate_gradient",
        proximity=1.0,
        damping=0.0,
        num_iterations=5,
        tolerance=1e-6,
        per_tensor=False,
    )
    print(x)  # [1, 2]: the target over 1 + 2 / proximity
    ```

    References:
        - Zakarias et al., 2024, arXiv 2410.02387
    """
    weights = tensors_of(weights)

    def system(hessian):
        scale = 1.0 / (proximity + damping)
        return lambda vectors: combine(vectors, scale, total(hessian(vectors)))

    one_of("solver", solver, SOLVERS)
    solution, residual, stopped = SOLVERS[solver](
        loss,
        weights,
        target,
        system,
        num_iterations=num_iterations,
        tolerance=tolerance,
        per_tensor=per_tensor,
    )
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in solution])
    fallback = stopped | ~finite | (residual > 1)
    solution = [tf.where(fallback, g, x) for g, x in zip(target, solution, strict=True)]
    return solution, residual, fallback


def _conjugate_gradient(loss, weights, target, system, **options):
    return solve_conjugate_gradient(
        system(hessian_of(loss, weights)), target, **options
    )


def _finite_difference(loss, weights, target, system, **options):
    def hessian(vectors):
        return gradient_difference(loss, weights, vectors, length=STEP)

    return solve_conjugate_gradient(system(hessian), target, **options)


def _neumann(loss, weights, target, system, *, num_iterations, tolerance, per_tensor):
    product = system(hessian_of(loss, weights))
    return solve_neumann(product, target, num_terms=num_iterations, step_size=1.0)


def _identity(loss, weights, target, system, **options):
    return target, tf.constant(float("nan"), target[0].dtype), tf.constant(False)


SOLVERS = {
    "conjugate_gradient": _conjugate_gradient,
    "neumann": _neumann,
    "finite_difference": _finite_difference,
    "identity": _identity,
}
