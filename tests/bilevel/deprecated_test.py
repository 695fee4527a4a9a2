"""The generic hypergradients, while they last, on a coupled quadratic problem.

G(θ, t) = ½ (θ − c)ᵀ H (θ − c) + (λ/2) ‖θ − t‖², F = ½ (θ − d)ᵀ B (θ − d) + Σ t³:
θ*(t) = (H + λI)⁻¹ (Hc + λt), dF/dt = λ (H + λI)⁻¹ B (θ* − d) + 3 t².
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import bilevel
from keras_tc2.bilevel import deprecated
from tests.test_case import TestCase

DIM, SPLIT, PROXIMITY = 6, 2, 0.5
RNG = np.random.default_rng(0)
C, D, T = RNG.normal(size=(3, DIM))
H, B = (np.eye(DIM) / 2 + a @ a.T / DIM for a in RNG.normal(size=(2, DIM, DIM)))
SYSTEM = H + PROXIMITY * np.eye(DIM)
OPTIMUM = np.linalg.solve(SYSTEM, H @ C + PROXIMITY * T)
OLD = ["conjugate_gradient", "finite_difference", "first_order", "neumann", "unrolled"]


def split(vector):
    return [tf.constant(vector[:SPLIT]), tf.constant(vector[SPLIT:])]


def quadratic(matrix, centre, theta):
    difference = tf.concat(theta, 0) - centre
    return tf.tensordot(difference, tf.linalg.matvec(matrix, difference), 1) / 2


def inner_loss(inner, outer):
    distance = tf.concat(inner, 0) - tf.concat(outer, 0)
    return quadratic(H, C, inner) + PROXIMITY * tf.reduce_sum(distance**2) / 2


def outer_loss(inner, outer):
    return quadratic(B, D, inner) + tf.reduce_sum(tf.concat(outer, 0) ** 3)


def exact(system=SYSTEM):
    return PROXIMITY * np.linalg.solve(system, B @ (OPTIMUM - D)) + 3 * T**2


def hypergradient(method, **options):
    run = tf.function(
        lambda: vars(
            method(inner_loss, outer_loss, split(OPTIMUM), split(T), **options)
        ),
        autograph=False,
    )
    found = run()
    return np.concatenate(found["gradients"]), found


class DeprecatedTest(TestCase):
    @pytest.mark.parametrize("name", OLD)
    def test_old_names_are_these(self, name):
        with pytest.warns(DeprecationWarning, match=rf"bilevel\.{name}` is deprecated"):
            assert getattr(bilevel, name) is getattr(deprecated, name)

    @pytest.mark.parametrize(
        ("name", "options", "rtol"),
        [
            ("conjugate_gradient", {"num_iterations": DIM}, 1e-9),
            ("neumann", {"num_terms": 400, "step_size": 0.3}, 1e-9),
            ("finite_difference", {"num_iterations": DIM}, 1e-7),
            ("unrolled", {"num_steps": 100, "learning_rate": 0.3}, 1e-7),
        ],
    )
    def test_closed_form(self, name, options, rtol):
        gradient, found = hypergradient(getattr(deprecated, name), **options)
        self.assert_close(gradient, exact(), rtol=rtol, atol=1e-8)
        self.assert_close(found["outer_loss"], outer_loss(split(OPTIMUM), split(T)))
        assert not found["fallback"]

    def test_first_order_takes_the_hessian_for_the_curvature(self):
        gradient, found = hypergradient(deprecated.first_order, curvature=2.0)
        self.assert_close(gradient, exact(2.0 * np.eye(DIM)), rtol=1e-9)
        assert np.isnan(found["residual"])

    def test_damping_is_added_to_the_hessian(self):
        damped = exact(SYSTEM + 3.0 * np.eye(DIM))
        for name in ("conjugate_gradient", "finite_difference"):
            gradient, _ = hypergradient(
                getattr(deprecated, name), num_iterations=DIM, damping=3.0
            )
            self.assert_close(gradient, damped, rtol=1e-6)

    def test_falls_back_to_the_curvature(self):
        gradient, found = hypergradient(
            deprecated.neumann, num_terms=50, step_size=5.0, curvature=2.0
        )
        self.assert_close(gradient, exact(2.0 * np.eye(DIM)), rtol=1e-9)
        assert found["fallback"]
