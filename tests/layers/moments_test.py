import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers.moments import exact_moments
from tests.test_case import TestCase


def variance_slope_error(synchronized, *, num_replicas=1):
    """Second derivative of a function of the variance, against its formula."""
    x = tf.constant(np.random.default_rng(0).normal(size=(8, 3)))
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(num_replicas)],
        # Collectives allow one number of replicas a process; tests need several.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    direction = tf.constant(np.random.default_rng(1).normal(size=(8, 3)))

    def replica_product(part, along):
        with tf.GradientTape() as outer:
            outer.watch(part)
            with tf.GradientTape() as inner:
                inner.watch(part)
                _, variance = exact_moments(part, [0], synchronized=synchronized)
                # Each replica holds its share of the loss.
                loss = tf.reduce_sum(tf.exp(variance)) / num_replicas
            slope = tf.reduce_sum(inner.gradient(loss, part) * along)
        return outer.gradient(slope, part)

    parts, alongs = (tf.split(t, num_replicas) for t in (x, direction))

    def value(context, values):
        return values[context.replica_id_in_sync_group]

    given = [
        strategy.experimental_distribute_values_from_function(
            lambda context, values=values: value(context, values)
        )
        for values in (parts, alongs)
    ]
    result = strategy.run(tf.function(replica_product), args=tuple(given))
    product = np.concatenate(
        [np.asarray(r) for r in strategy.experimental_local_results(result)]
    )

    # d/dx sum exp(v): g = e^v 2(x - m)/n; its derivative along d, by hand.
    centred = x.numpy() - x.numpy().mean(0)
    moved = direction.numpy() - direction.numpy().mean(0)
    n, scale = 8, np.exp((centred**2).mean(0))
    variance_change = 2 * (centred * moved).mean(0)
    expected = scale * 2 / n * (moved + centred * variance_change)
    return np.abs(product - expected).max() / np.abs(expected).max()


class ExactMomentsTest(TestCase):
    def test_values(self):
        x = np.random.default_rng(0).normal(size=(4, 5, 6))
        mean, variance = exact_moments(tf.constant(x), [0, 2])
        self.assert_close(mean, x.mean((0, 2)))
        self.assert_close(variance, x.var((0, 2)))
        mean, variance = exact_moments(tf.constant(x), [1], keepdims=True)
        assert mean.shape == variance.shape == (4, 1, 6)

    def test_large_mean_keeps_small_variance(self):
        x = 1000 + np.random.default_rng(0).normal(size=(1000, 1)) * 0.01
        _, variance = exact_moments(tf.constant(x, "float32"), [0])
        self.assert_close(variance, x.astype("float32").var(0), rtol=0.01, atol=0)

    def test_masked_values(self):
        x = np.random.default_rng(0).normal(size=(6, 2))
        mask = np.array([[True], [True], [False], [True], [False], [True]])
        mean, variance = exact_moments(tf.constant(x), [0], mask=tf.constant(mask))
        kept = x[mask[:, 0]]
        self.assert_close(mean, kept.mean(0))
        self.assert_close(variance, kept.var(0))

    def test_nothing_unmasked_is_zero_and_finite(self):
        x, mask = tf.ones((3, 2)), tf.zeros((3, 1), "bool")
        mean, variance = exact_moments(x, [0], mask=mask)
        self.assert_close(mean, [0, 0])
        self.assert_close(variance, [0, 0])

    def test_second_derivative(self):
        assert variance_slope_error(False) < 1e-12

    @pytest.mark.parametrize("num_replicas", [2, 4])
    def test_second_derivative_over_replicas(self, num_replicas):
        assert variance_slope_error(True, num_replicas=num_replicas) < 1e-12

    def test_local_moments_differ_over_replicas(self):
        assert variance_slope_error(False, num_replicas=2) > 1e-3
