"""Every hypergradient against the closed form of a coupled quadratic problem.

G(θ, t) = ½ (θ − c)ᵀ H (θ − c) + (λ/2) ‖θ − t‖², F = ½ (θ − d)ᵀ B (θ − d):
θ*(t) = (H + λI)⁻¹ (Hc + λt), dF/dt = λ (H + λI)⁻¹ B (θ* − d).
The parameters come as two tensors, coupled by H.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import bilevel
from keras_tc2.bilevel.hessian import hessian_of
from keras_tc2.bilevel.linear_solvers import solve_conjugate_gradient
from tests.test_case import TestCase

RNG = np.random.default_rng(0)
DIM, SPLIT, PROXIMITY = 6, 2, 0.5


def spd(seed, smallest=0.5, largest=4.0, dim=DIM):
    """A symmetric positive definite matrix with a known spectrum."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
    return basis @ np.diag(np.linspace(smallest, largest, dim)) @ basis.T


H, B = spd(1), spd(2)
C, D, T = RNG.normal(size=(3, DIM))


def split(vector):
    return [tf.constant(vector[:SPLIT]), tf.constant(vector[SPLIT:])]


def quadratic(matrix, centre, theta):
    difference = tf.concat(theta, 0) - centre
    return tf.tensordot(difference, tf.linalg.matvec(matrix, difference), 1) / 2


def problem(hessian=H, proximity=PROXIMITY):
    """`(inner_loss, outer_loss, θ*, t, dF/dt)`."""

    def inner_loss(inner, outer):
        distance = tf.concat(inner, 0) - tf.concat(outer, 0)
        return quadratic(hessian, C, inner) + proximity * tf.reduce_sum(distance**2) / 2

    def outer_loss(inner, outer):
        return quadratic(B, D, inner)

    system = hessian + proximity * np.eye(DIM)
    optimum = np.linalg.solve(system, hessian @ C + proximity * T)
    exact = proximity * np.linalg.solve(system, B @ (optimum - D))
    return inner_loss, outer_loss, optimum, T, exact


def gradient_of(method, hessian=H, proximity=PROXIMITY, start=None, **options):
    inner_loss, outer_loss, optimum, t, exact = problem(hessian, proximity)
    start = optimum if start is None else start

    @tf.function(autograph=False)
    def run():
        result = method(inner_loss, outer_loss, split(start), split(t), **options)
        return result.gradients, result.outer_loss, result.residual, result.fallback

    gradients, value, residual, fallback = run()
    gradient = np.concatenate([g.numpy() for g in gradients])
    return gradient, exact, float(residual), bool(fallback), float(value)


class ClosedFormTest(TestCase):
    @pytest.mark.parametrize(
        ("method", "options", "rtol"),
        [
            (bilevel.conjugate_gradient, {"num_iterations": DIM}, 1e-9),
            (bilevel.neumann, {"num_terms": 400, "step_size": 0.3}, 1e-9),
            (bilevel.finite_difference, {"num_iterations": DIM}, 1e-7),
            (bilevel.unrolled, {"num_steps": 50, "learning_rate": 0.36}, 1e-7),
        ],
    )
    def test_quadratic(self, method, options, rtol):
        gradient, exact, _, fallback, value = gradient_of(method, **options)
        self.assert_close(gradient, exact, rtol=rtol, atol=1e-8)
        _, _, optimum, _, _ = problem()
        self.assert_close(value, (optimum - D) @ B @ (optimum - D) / 2)
        assert not fallback

    def test_unrolled_far_from_the_optimum_is_exact_for_its_steps(self):
        start = np.zeros(DIM)
        gradient, _, _, _, _ = gradient_of(
            bilevel.unrolled, start=start, num_steps=3, learning_rate=0.1
        )
        system = H + PROXIMITY * np.eye(DIM)
        theta, jacobian = start, np.zeros((DIM, DIM))
        for _ in range(3):
            jacobian = jacobian - 0.1 * (system @ jacobian - PROXIMITY * np.eye(DIM))
            theta = theta - 0.1 * (system @ theta - H @ C - PROXIMITY * T)
        self.assert_close(gradient, jacobian.T @ B @ (theta - D), rtol=1e-10)

    def test_neumann_is_unrolling_at_the_optimum(self):
        series, _, _, _, _ = gradient_of(bilevel.neumann, num_terms=4, step_size=0.1)
        steps, _, _, _, _ = gradient_of(
            bilevel.unrolled, num_steps=5, learning_rate=0.1
        )
        self.assert_close(series, steps, rtol=1e-10)

    def test_first_order_is_the_outer_gradient_under_proximity_alone(self):
        _, _, optimum, _, _ = problem()
        gradient, _, residual, _, _ = gradient_of(
            bilevel.first_order, curvature=PROXIMITY
        )
        self.assert_close(gradient, B @ (optimum - D))
        assert np.isnan(residual)

    @pytest.mark.parametrize("method", [bilevel.conjugate_gradient])
    def test_limits_of_the_proximity(self, method):
        _, _, optimum, _, _ = problem(proximity=1e8)
        near, _, _, _, _ = gradient_of(method, proximity=1e8, num_iterations=DIM)
        self.assert_close(near, B @ (optimum - D), rtol=1e-5)
        flat, exact, _, _, _ = gradient_of(method, hessian=np.zeros((DIM, DIM)))
        self.assert_close(flat, exact, rtol=1e-9)
        self.assert_close(flat, B @ (T - D), rtol=1e-9)
        none, _, _, _, _ = gradient_of(method, proximity=1e-9, num_iterations=DIM)
        assert np.max(np.abs(none)) < 1e-7

    def test_outer_gradient_of_its_own_is_added(self):
        inner_loss, outer_loss, optimum, t, exact = problem()

        def with_direct(inner, outer):
            return outer_loss(inner, outer) + tf.reduce_sum(tf.concat(outer, 0) ** 3)

        result = bilevel.conjugate_gradient(
            inner_loss, with_direct, split(optimum), split(t), num_iterations=DIM
        )
        self.assert_close(np.concatenate(result.gradients), exact + 3 * t**2)


class ConjugateGradientTest(TestCase):
    def solve(self, matrix, target, per_tensor=False, num_iterations=None):
        def product(vectors):
            return split(matrix @ np.concatenate([v.numpy() for v in vectors]))

        x, residual, stopped = solve_conjugate_gradient(
            product,
            split(target),
            num_iterations=num_iterations or len(target),
            tolerance=0.0,
            per_tensor=per_tensor,
        )
        return np.concatenate([v.numpy() for v in x]), float(residual), bool(stopped)

    def test_equals_a_direct_solve(self):
        matrix = spd(3, 0.01, 10.0, dim=12)
        target = np.random.default_rng(4).normal(size=12)
        x, residual, stopped = self.solve(matrix, target, num_iterations=20)
        self.assert_close(x, np.linalg.solve(matrix, target), rtol=1e-8)
        assert residual < 1e-9
        assert not stopped

    def test_residual_is_the_true_one(self):
        target = RNG.normal(size=DIM)
        x, residual, _ = self.solve(H, target, num_iterations=2)
        true = np.linalg.norm(target - H @ x) / np.linalg.norm(target)
        self.assert_close(residual, true, rtol=1e-9)
        assert 1e-3 < true < 1

    def test_per_tensor_is_not_conjugate_gradients(self):
        matrix = spd(5, 0.001, 100.0)
        target = RNG.normal(size=DIM)
        exact = np.linalg.solve(matrix, target)
        whole, _, _ = self.solve(matrix, target, num_iterations=40)
        parts, _, _ = self.solve(matrix, target, True, num_iterations=40)
        error = np.linalg.norm([whole - exact, parts - exact], axis=1)
        error /= np.linalg.norm(exact)
        assert error[0] < 1e-6
        assert error[1] > 0.1

    def test_per_tensor_is_exact_where_tensors_are_not_coupled(self):
        matrix = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        x, _, _ = self.solve(matrix, np.ones(DIM), True)
        self.assert_close(x, 1 / np.diag(matrix), rtol=1e-9)

    def test_indefinite_curvature_falls_back(self):
        negative = -spd(6)
        gradient, _, residual, fallback, _ = gradient_of(
            bilevel.conjugate_gradient, hessian=negative, proximity=0.1, curvature=2.0
        )
        assert fallback
        assert residual == 1
        _, _, optimum, _, _ = problem(negative, 0.1)
        self.assert_close(gradient, 0.1 * B @ (optimum - D) / 2, rtol=1e-9)

    def test_damping_is_added_to_the_hessian(self):
        _, _, optimum, _, _ = problem()
        gradient, _, _, _, _ = gradient_of(
            bilevel.conjugate_gradient, num_iterations=DIM, damping=3.0
        )
        system = H + (PROXIMITY + 3.0) * np.eye(DIM)
        expected = PROXIMITY * np.linalg.solve(system, B @ (optimum - D))
        self.assert_close(gradient, expected, rtol=1e-9)

    def test_a_diverging_series_falls_back(self):
        _, _, _, fallback, _ = gradient_of(bilevel.neumann, num_terms=50, step_size=2.0)
        assert fallback


class HessianTest(TestCase):
    def test_products_against_the_whole_hessian(self):
        def loss(weights):
            x, y = weights
            return tf.reduce_sum(tf.sin(x) * tf.reduce_sum(y**2) + tf.exp(x))

        x, y = tf.constant([0.3, -0.2], "float64"), tf.constant([1.0, 2.0], "float64")
        v = [tf.constant([0.5, 1.0], "float64"), tf.constant([-1.0, 3.0], "float64")]
        step = 1e-6

        def gradient(sign):
            moved = [w + sign * step * d for w, d in zip((x, y), v, strict=True)]
            with tf.GradientTape() as tape:
                tape.watch(moved)
                value = loss(moved)
            return tape.gradient(value, moved)

        product = hessian_of(loss, [x, y])
        for _ in range(2):
            for actual, above, below in zip(
                product(v), gradient(1), gradient(-1), strict=True
            ):
                self.assert_close(actual, (above - below) / (2 * step), rtol=1e-7)
