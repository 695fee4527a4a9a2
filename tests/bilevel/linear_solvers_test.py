"""The solvers of A x = b against direct solves, A symmetric and in two tensors."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.bilevel import adapt, value_and_gradients
from keras_tc2.bilevel.linear_solvers import solve_conjugate_gradient, solve_neumann
from tests.test_case import TestCase

RNG = np.random.default_rng(0)
DIM, SPLIT = 6, 2


def spd(seed, smallest=0.5, largest=4.0, dim=DIM):
    """A symmetric positive definite matrix with a known spectrum."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
    return basis @ np.diag(np.linspace(smallest, largest, dim)) @ basis.T


H, B = spd(1), spd(2)


def split(vector):
    return [tf.constant(vector[:SPLIT]), tf.constant(vector[SPLIT:])]


def product_with(matrix):
    return lambda vectors: split(matrix @ np.concatenate([v.numpy() for v in vectors]))


def solved(solve, matrix, target, **options):
    """`(x, residual, stopped)`."""
    x, residual, stopped = solve(product_with(matrix), split(target), **options)
    return np.concatenate([v.numpy() for v in x]), float(residual), bool(stopped)


def conjugate_gradient(matrix, target, per_tensor=False, num_iterations=None):
    return solved(
        solve_conjugate_gradient,
        matrix,
        target,
        num_iterations=num_iterations or len(target),
        tolerance=0.0,
        per_tensor=per_tensor,
    )


class ConjugateGradientTest(TestCase):
    def test_equals_a_direct_solve(self):
        matrix = spd(3, 0.01, 10.0, dim=12)
        target = np.random.default_rng(4).normal(size=12)
        x, residual, stopped = conjugate_gradient(matrix, target, num_iterations=20)
        self.assert_close(x, np.linalg.solve(matrix, target), rtol=1e-8)
        assert residual < 1e-9
        assert not stopped

    def test_residual_is_the_true_one(self):
        target = RNG.normal(size=DIM)
        x, residual, _ = conjugate_gradient(H, target, num_iterations=2)
        true = np.linalg.norm(target - H @ x) / np.linalg.norm(target)
        self.assert_close(residual, true, rtol=1e-9)
        assert 1e-3 < true < 1

    def test_per_tensor_is_not_conjugate_gradients(self):
        matrix = spd(5, 0.001, 100.0)
        target = RNG.normal(size=DIM)
        exact = np.linalg.solve(matrix, target)
        whole, _, _ = conjugate_gradient(matrix, target, num_iterations=40)
        parts, _, _ = conjugate_gradient(matrix, target, True, num_iterations=40)
        error = np.linalg.norm([whole - exact, parts - exact], axis=1)
        error /= np.linalg.norm(exact)
        assert error[0] < 1e-6
        assert error[1] > 0.1

    def test_per_tensor_is_exact_where_tensors_are_not_coupled(self):
        matrix = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        x, _, _ = conjugate_gradient(matrix, np.ones(DIM), True)
        self.assert_close(x, 1 / np.diag(matrix), rtol=1e-9)

    def test_negative_curvature_stops_it_where_it_was(self):
        x, residual, stopped = conjugate_gradient(-spd(6), np.ones(DIM))
        np.testing.assert_array_equal(x, np.zeros(DIM))
        assert stopped and residual == 1


class NeumannTest(TestCase):
    @pytest.mark.parametrize("num_terms", [3, 400])
    def test_sums_the_series(self, num_terms):
        target = RNG.normal(size=DIM)
        x, residual, stopped = solved(
            solve_neumann, H, target, num_terms=num_terms, step_size=0.3
        )
        factor, series = np.eye(DIM) - 0.3 * H, np.zeros((DIM, DIM))
        for k in range(num_terms + 1):
            series += 0.3 * np.linalg.matrix_power(factor, k)
        self.assert_close(x, series @ target, rtol=1e-9, atol=1e-9)
        true = np.linalg.norm(target - H @ x) / np.linalg.norm(target)
        self.assert_close(residual, true, atol=1e-9)
        assert not stopped
        if num_terms == 400:
            self.assert_close(x, np.linalg.solve(H, target), rtol=1e-9)

    def test_is_unrolling_at_the_optimum(self):
        """A series of n terms in H + λ, and n + 1 steps from θ*(u) differentiated."""
        proximity, rate = 0.5, 0.1
        centre, outer, goal = RNG.normal(size=(3, DIM))
        system = H + proximity * np.eye(DIM)
        optimum = np.linalg.solve(system, H @ centre + proximity * outer)

        def quadratic(matrix, centre, theta):
            difference = theta - centre
            return tf.tensordot(difference, tf.linalg.matvec(matrix, difference), 1) / 2

        def outer_loss(outer):
            fast_weights, _, _ = adapt(
                lambda weights: (
                    quadratic(H, centre, weights[0])
                    + proximity * tf.reduce_sum((weights[0] - outer[0]) ** 2) / 2
                ),
                [tf.constant(optimum)],
                learning_rate=rate,
                num_steps=5,
                order=2,
            )
            return quadratic(B, goal, fast_weights[0])

        _, (unrolled,) = value_and_gradients(outer_loss, [tf.constant(outer)])
        series, _, _ = solved(
            solve_neumann, system, B @ (optimum - goal), num_terms=4, step_size=rate
        )
        self.assert_close(proximity * series, unrolled, rtol=1e-10)

    def test_a_series_that_diverges_stops(self):
        target = np.ones(DIM)
        for num_terms in (50, 2000):  # To a large number, and to infinity.
            with np.errstate(all="ignore"):
                _, _, stopped = solved(
                    solve_neumann, H, target, num_terms=num_terms, step_size=2.0
                )
            assert stopped
