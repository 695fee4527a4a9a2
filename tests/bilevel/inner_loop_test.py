import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.bilevel import adapt, value_and_gradients
from tests.test_case import TestCase

RNG = np.random.default_rng(0)
ROOT = RNG.normal(size=(4, 4))
HESSIAN = ROOT @ ROOT.T / 4 + np.eye(4)
CENTRE, START, TARGET = RNG.normal(size=(3, 4))


def quadratic(weights):
    difference = weights[0] - CENTRE
    return tf.tensordot(difference, tf.linalg.matvec(HESSIAN, difference), 1) / 2


def hypergradient(**arguments):
    """Gradient of ½‖θ_s − target‖² by θ at START, through the inner loop."""
    start = tf.constant(START)
    with tf.GradientTape() as tape:
        tape.watch(start)
        fast, _, _ = adapt(quadratic, [start], **arguments)
        loss = tf.reduce_sum((fast[0] - TARGET) ** 2) / 2
    return fast[0].numpy(), tape.gradient(loss, start).numpy()


class AdaptTest(TestCase):
    @pytest.mark.parametrize("num_steps", [0, 1, 3])
    def test_closed_form_of_a_quadratic(self, num_steps):
        fast, gradient = hypergradient(learning_rate=0.1, num_steps=num_steps, order=2)
        decay = np.linalg.matrix_power(np.eye(4) - 0.1 * HESSIAN, num_steps)
        expected = CENTRE + decay @ (START - CENTRE)
        self.assert_close(fast, expected, rtol=1e-12)
        self.assert_close(gradient, decay.T @ (expected - TARGET), rtol=1e-12)

    @pytest.mark.parametrize("num_steps", [1, 3])
    def test_what_the_inner_loss_hangs_on_beside_the_weights(self, num_steps):
        """As φ in TC², and the upper weights in BiSSL: far from the optimum too."""

        def outer_loss(outer):
            fast, _, _ = adapt(
                lambda weights: (
                    quadratic(weights) + tf.reduce_sum((weights[0] - outer[0]) ** 2) / 4
                ),
                [tf.constant(START)],
                learning_rate=0.1,
                num_steps=num_steps,
                order=2,
            )
            return tf.reduce_sum((fast[0] - TARGET) ** 2) / 2

        outer = RNG.normal(size=4)
        _, (gradient,) = value_and_gradients(outer_loss, [tf.constant(outer)])
        system = HESSIAN + np.eye(4) / 2
        theta, jacobian = START, np.zeros((4, 4))
        for _ in range(num_steps):
            jacobian = jacobian - 0.1 * (system @ jacobian - np.eye(4) / 2)
            theta = theta - 0.1 * (system @ theta - HESSIAN @ CENTRE - outer / 2)
        self.assert_close(gradient, jacobian.T @ (theta - TARGET), rtol=1e-10)

    def test_first_order_takes_the_jacobian_for_the_identity(self):
        fast, gradient = hypergradient(learning_rate=0.1, num_steps=3, order=1)
        self.assert_close(gradient, fast - TARGET, rtol=1e-12)
        _, exact = hypergradient(learning_rate=0.1, num_steps=3, order=2)
        assert np.max(np.abs(exact - gradient)) > 0.05

    def test_orders_agree_on_a_linear_inner_loss(self):
        def linear(weights):
            return tf.tensordot(weights[0], tf.constant(CENTRE), 1)

        results = []
        for order in (1, 2):
            start = tf.constant(START)
            with tf.GradientTape() as tape:
                tape.watch(start)
                fast, _, _ = adapt(
                    linear, [start], learning_rate=0.1, num_steps=2, order=order
                )
                loss = tf.reduce_sum(fast[0] ** 3)
            results.append(tape.gradient(loss, start).numpy())
        self.assert_close(*results, rtol=1e-12)

    def test_reports_the_loss_and_gradient_of_the_start(self):
        _, loss, gradients = adapt(
            quadratic, [tf.constant(START)], learning_rate=0.1, num_steps=2, order=1
        )
        self.assert_close(loss, quadratic([START]))
        self.assert_close(gradients[0], HESSIAN @ (START - CENTRE))

    def test_clips_to_the_norm_over_all_weights(self):
        def steep(weights):
            return 30 * weights[0][0] + 40 * weights[1][0]

        start = [tf.constant([1.0]), tf.constant([1.0])]
        for clipnorm, expected in ((5.0, (0.7, 0.6)), (1000.0, (-2.0, -3.0))):
            fast, _, gradients = adapt(
                steep,
                start,
                learning_rate=0.1,
                num_steps=1,
                order=2,
                clipnorm=clipnorm,
            )
            self.assert_close(np.ravel(fast), expected, rtol=1e-6)
            self.assert_close(np.ravel(gradients), [30, 40])

    def test_clipping_a_gradient_of_zero_is_differentiable(self):
        start = tf.zeros(2)
        with tf.GradientTape() as tape:
            tape.watch(start)
            fast = adapt(
                lambda weights: tf.reduce_sum(weights[0] ** 2),
                [start],
                learning_rate=0.1,
                num_steps=1,
                order=2,
                clipnorm=1.0,
            )[0]
        self.assert_close(tape.gradient(fast, start), [0.8, 0.8], rtol=1e-6)
