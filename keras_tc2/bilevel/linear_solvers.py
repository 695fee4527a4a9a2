"""Conjugate gradients and Neumann series for A x = b, A known by its products."""

import tensorflow as tf

from keras_tc2.bilevel.tensor_lists import combine, dot, norm


def solve_conjugate_gradient(product, target, *, num_iterations, tolerance, per_tensor):
    """Solves A x = b for symmetric positive definite A, from x = 0.

    Global: one step size for all tensors together. Two guards keep x at its last good
    value: a direction of curvature dᵀAd ≤ 0, where A is not positive definite, and a
    residual that is not finite; the solver reports that it stopped.

    Args:
        product: callable, list of tensors to list of tensors: A times them.
        target: list of tensors, b.
        num_iterations: int >= 1. At most this many products.
        tolerance: float >= 0. Stops at ‖b − A x‖ <= tolerance · ‖b‖.
        per_tensor: bool. Whether every tensor has step sizes of its own, as in the
            BiSSL authors' code. That is not the conjugate gradient method, and
            diverges where tensors are coupled; for comparisons alone.

    Returns:
        `(x, residual, stopped)`: list of tensors, ‖b − A x‖ / ‖b‖ as the recurrence
        has it, and whether a guard stopped the solver.
    """
    products = _dot_of_each if per_tensor else _dot_of_all
    scale = tf.maximum(norm(target), tf.cast(1e-30, target[0].dtype))

    def go_on(i, x, residual, direction, squared, stopped):
        relative = norm(residual) / scale
        return (i < num_iterations) & ~stopped & (relative > tolerance)

    def step(i, x, residual, direction, squared, stopped):
        curved = product(direction)
        curvature = products(direction, curved)
        bad = tf.reduce_any(
            [(c <= 0) & (s > 0) for c, s in zip(curvature, squared, strict=True)]
        )
        alpha = [_ratio(s, c) for s, c in zip(squared, curvature, strict=True)]
        next_x = _axpy(x, alpha, direction)
        next_residual = _axpy(residual, [-a for a in alpha], curved)
        next_squared = products(next_residual, next_residual)
        bad = bad | ~tf.math.is_finite(norm(next_residual))
        beta = [_ratio(n, s) for n, s in zip(next_squared, squared, strict=True)]
        next_direction = _axpy(next_residual, beta, direction)

        def keep(old, new):
            return [tf.where(bad, o, n) for o, n in zip(old, new, strict=True)]

        return (
            i + 1,
            keep(x, next_x),
            keep(residual, next_residual),
            keep(direction, next_direction),
            keep(squared, next_squared),
            stopped | bad,
        )

    start = [tf.zeros_like(b) for b in target]
    _, x, residual, _, _, stopped = _repeat(
        go_on,
        step,
        (0, start, target, target, products(target, target), tf.constant(False)),
        num_iterations,
    )
    return x, norm(residual) / scale, stopped


def solve_neumann(product, target, *, num_terms, step_size):
    """Sums s · Σ_k (I − s A)ᵏ b, which tends to A⁻¹ b where ‖I − s A‖ < 1.

    Args:
        product: callable, list of tensors to list of tensors: A times them.
        target: list of tensors, b.
        num_terms: int >= 1. Terms of the series beyond the first.
        step_size: float > 0. s, below 2 / largest eigenvalue of A.

    Returns:
        `(x, residual, stopped)` as `solve_conjugate_gradient`; stopped where the sum
        grew beyond all bounds.
    """

    def step(i, total, term):
        term = combine(term, -step_size, product(term))
        return i + 1, combine(total, 1.0, term), term

    _, total, term = _repeat(
        lambda i, total, term: i < num_terms, step, (0, target, target), num_terms
    )
    x = [step_size * t for t in total]
    # (I − sA)^(n+1) b is what the partial sum still lacks: b − A x.
    residual = combine(term, -step_size, product(term))
    scale = tf.maximum(norm(target), tf.cast(1e-30, target[0].dtype))
    relative = norm(residual) / scale
    return x, relative, ~tf.math.is_finite(relative) | (relative > 1)


def _repeat(go_on, step, state, at_most):
    """`tf.while_loop`; unrolled among replicas, which cannot communicate in a loop."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tf.while_loop(go_on, step, state)
    for _ in range(at_most):
        wanted = go_on(*state)
        state = tf.nest.map_structure(
            lambda old, new, wanted=wanted: tf.where(wanted, new, old),
            state,
            step(*state),
        )
    return state


def _dot_of_each(a, b):
    return [tf.reduce_sum(x * y) for x, y in zip(a, b, strict=True)]


def _dot_of_all(a, b):
    return [dot(a, b)] * len(a)


def _ratio(a, b):
    return tf.math.divide_no_nan(a, b)


def _axpy(a, scales, b):
    return [x + s * y for x, s, y in zip(a, scales, b, strict=True)]
