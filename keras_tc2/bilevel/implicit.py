"""From a solution of the linear system to the hypergradient, with its fallback."""

import tensorflow as tf

from keras_tc2.bilevel.hypergradient import Hypergradient, outer_gradients


def implicit_hypergradient(outer_loss, inner, outer, *, solve, mixed, curvature):
    """dF/du = ∂F/∂u − (∂²G/∂u∂θ) x, by the implicit function theorem.

    Args:
        outer_loss: callable `(inner, outer)` to the scalar F.
        inner: list of tensors, θ.
        outer: list of tensors, u.
        solve: callable, ∂F/∂θ to `(x, residual, stopped)`.
        mixed: callable, x to (∂²G/∂u∂θ) x.
        curvature: float > 0. Where the solver stopped at a guard without progress, or
            x is not finite, x = ∂F/∂θ / curvature stands in.

    Returns:
        A `Hypergradient`.
    """
    value, target, direct = outer_gradients(outer_loss, inner, outer)
    solution, residual, stopped = solve(target)
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in solution])
    fallback = (stopped & (residual >= 1)) | ~finite
    solution = [
        tf.where(fallback, t / curvature, x)
        for x, t in zip(solution, target, strict=True)
    ]
    gradients = [d - m for d, m in zip(direct, mixed(solution), strict=True)]
    return Hypergradient(gradients, value, residual, fallback)
