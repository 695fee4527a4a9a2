"""The hypergradient of BiSSL against the closed form of a coupled quadratic problem.

G(θ) = ½ (θ − c)ᵀ H (θ − c), F = ½ (θ − d)ᵀ B (θ − d), θ*(t) = (H + λI)⁻¹ (Hc + λt):
dF/dt = λ (H + λI)⁻¹ B (θ* − d) = (I + H/λ)⁻¹ ∇F(θ*). Parameters are two tensors,
coupled by H.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import bilevel
from tests.test_case import TestCase

RNG = np.random.default_rng(0)
DIM, SPLIT, PROXIMITY = 6, 2, 0.5
C, D, T = RNG.normal(size=(3, DIM))


def spd(seed, smallest=0.5, largest=4.0):
    """A symmetric positive definite matrix with a known spectrum."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(DIM, DIM)))
    return basis @ np.diag(np.linspace(smallest, largest, DIM)) @ basis.T


H, B = spd(1), spd(2)


def split(vector):
    return [tf.constant(vector[:SPLIT]), tf.constant(vector[SPLIT:])]


def lower_loss(hessian):
    def loss(theta):
        difference = tf.concat(theta, 0) - C
        return tf.tensordot(difference, tf.linalg.matvec(hessian, difference), 1) / 2

    return loss


def optimum(t, hessian=H, proximity=PROXIMITY):
    system = hessian + proximity * np.eye(DIM)
    return np.linalg.solve(system, hessian @ C + proximity * t)


def upper_loss(theta):
    return (theta - D) @ B @ (theta - D) / 2


def solved(hessian=H, *, target=None, proximity=PROXIMITY, damping=0.0, **options):
    """`(x, residual, fallback)` at the lower optimum."""
    theta = optimum(T, hessian, proximity)
    target = B @ (theta - D) if target is None else target
    options = {
        "solver": "conjugate_gradient",
        "num_iterations": DIM,
        "tolerance": 0.0,
        "per_tensor": False,
        **options,
    }

    @tf.function(autograph=False)
    def run():
        return bilevel.proximal_hypergradient(
            lower_loss(hessian),
            split(theta),
            split(target),
            proximity=proximity,
            damping=damping,
            **options,
        )

    x, residual, fallback = run()
    return np.concatenate([part.numpy() for part in x]), float(residual), bool(fallback)


class ClosedFormTest(TestCase):
    @pytest.mark.parametrize(
        ("options", "rtol"),
        [
            ({}, 1e-9),
            ({"solver": "finite_difference"}, 1e-7),
            ({"solver": "neumann", "proximity": 5.0, "num_iterations": 200}, 1e-9),
        ],
    )
    def test_is_the_derivative_of_the_upper_loss_in_the_upper_weights(
        self, options, rtol
    ):
        proximity = options.get("proximity", PROXIMITY)
        gradient, residual, fallback = solved(**options)
        exact = proximity * np.linalg.solve(
            H + proximity * np.eye(DIM), B @ (optimum(T, proximity=proximity) - D)
        )
        self.assert_close(gradient, exact, rtol=rtol, atol=1e-9)
        step = 1e-5
        for direction in np.eye(DIM):
            ends = [
                upper_loss(optimum(T + sign * step * direction, proximity=proximity))
                for sign in (1, -1)
            ]
            self.assert_close(
                gradient @ direction, (ends[0] - ends[1]) / (2 * step), rtol=1e-6
            )
        assert residual < 1e-6 and not fallback

    def test_damping_joins_the_proximity(self):
        target = B @ (optimum(T) - D)
        gradient, _, _ = solved(damping=2.0)
        exact = np.linalg.solve(np.eye(DIM) + H / (PROXIMITY + 2.0), target)
        self.assert_close(gradient, exact, rtol=1e-9)

    def test_long_unrolled_descent_comes_to_it(self):
        gradient, _, _ = solved()

        def unrolled_loss(num_steps, outer):
            def inner_loss(inner):
                distance = tf.concat(inner, 0) - tf.concat(outer, 0)
                return lower_loss(H)(inner) + PROXIMITY * tf.reduce_sum(distance**2) / 2

            inner, _, _ = bilevel.adapt(
                inner_loss,
                split(np.zeros(DIM)),
                learning_rate=0.36,
                num_steps=num_steps,
                order=2,
            )
            difference = tf.concat(inner, 0) - D
            return tf.tensordot(difference, tf.linalg.matvec(B, difference), 1) / 2

        errors = []
        for num_steps in (5, 20, 80):
            _, unrolled = bilevel.value_and_gradients(
                functools.partial(unrolled_loss, num_steps), split(T)
            )
            errors.append(np.max(np.abs(np.concatenate(unrolled) - gradient)))
        assert errors[0] > 10 * errors[1] > 100 * errors[2]
        assert errors[2] < 1e-8

    def test_limits(self):
        target = B @ (optimum(T) - D)
        no_curvature, _, _ = solved(np.zeros((DIM, DIM)), target=target)
        self.assert_close(no_curvature, target, rtol=1e-12)
        all_proximity, _, _ = solved(target=target, proximity=1e9)
        self.assert_close(all_proximity, target, rtol=1e-8)
        none, _, _ = solved(target=target, proximity=1e-9)
        assert np.max(np.abs(none)) < 1e-7

    def test_identity_takes_the_gradient_as_it_is(self):
        target = B @ (optimum(T) - D)
        gradient, residual, fallback = solved(solver="identity")
        np.testing.assert_array_equal(gradient, target)
        assert np.isnan(residual) and not fallback

    def test_a_solver_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"`solver` must be one of 'conjugate_gra"):
            solved(solver="newton")

    def test_per_tensor_is_another_answer(self):
        exact, _, _ = solved()
        other, _, _ = solved(per_tensor=True)
        assert np.linalg.norm(other - exact) > 0.01 * np.linalg.norm(exact)
        diagonal = np.diag(np.full(DIM, 3.0))
        exact, _, _ = solved(diagonal)
        same, _, _ = solved(diagonal, per_tensor=True)
        self.assert_close(same, exact, rtol=1e-9)


class GuardTest(TestCase):
    @pytest.mark.parametrize("per_tensor", [False, True])
    def test_indefinite_curvature_gives_the_gradient_and_a_flag(self, per_tensor):
        indefinite = np.diag([-2.0, 1.0, 1.0, -2.0, 1.0, 1.0])
        target = np.array([3.0, 0.1, 0.1, 3.0, 0.1, 0.1])
        x, _, fallback = solved(indefinite, target=target, per_tensor=per_tensor)
        np.testing.assert_array_equal(x, target)
        assert fallback
        x, _, fallback = solved(indefinite, target=target, damping=5.0)
        self.assert_close(x, target / (1 + np.diag(indefinite) / 5.5), rtol=1e-9)
        assert not fallback

    @pytest.mark.parametrize("solver", ["conjugate_gradient", "neumann"])
    def test_curvature_that_is_not_finite(self, solver):
        target = np.ones(DIM)
        broken = np.full((DIM, DIM), np.nan)
        x, _, fallback = solved(broken, target=target, solver=solver)
        # The optimum is not finite either, so only the flag and x are looked at.
        np.testing.assert_array_equal(x, target)
        assert fallback

    def test_a_series_that_diverges(self):
        target = np.ones(DIM)
        x, residual, fallback = solved(target=target, solver="neumann")
        np.testing.assert_array_equal(x, target)
        assert fallback and residual > 1

    def test_stops_at_a_small_residual(self):
        _, residual, _ = solved(tolerance=0.3)
        assert 1e-6 < residual <= 0.3
