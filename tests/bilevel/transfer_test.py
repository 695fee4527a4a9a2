import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.bilevel import mean_transfer_losses, partners, transfer_losses
from keras_tc2.bilevel.transfer import mean_off_diagonal, pairwise_cosines
from tests.test_case import TestCase

NUM_TASKS, DIM = 3, 4
RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(NUM_TASKS, DIM))
HESSIANS = np.stack([m @ m.T for m in RNG.normal(size=(NUM_TASKS, DIM, DIM))])
START = RNG.normal(size=DIM)
RATE = 0.05


def task_loss(weights, task, task_index):
    """½ (θ − c_s)ᵀ H_s (θ − c_s): `task` holds c_s and H_s."""
    difference = weights[0] - task[0]
    return tf.reduce_sum(difference * tf.linalg.matvec(task[1:], difference)) / 2


TASKS = tf.constant(np.concatenate([CENTRES[:, None], HESSIANS], axis=1))


@tf.function(autograph=False)
def run(pairing, **arguments):
    start = tf.constant(START)
    with tf.GradientTape() as tape:
        tape.watch(start)
        results = transfer_losses(
            task_loss,
            [start],
            TASKS,
            partners(pairing, NUM_TASKS),
            learning_rate=RATE,
            **arguments,
        )
        loss = tf.reduce_mean(results["outer_loss"])
    return results, tape.gradient(loss, start)


class TransferLossesTest(TestCase):
    @pytest.mark.parametrize("vectorized", [True, False])
    @pytest.mark.parametrize("pairing", ["ring", "all"])
    @pytest.mark.parametrize("num_steps", [1, 3])
    def test_closed_form(self, pairing, num_steps, vectorized):
        results, gradient = run(
            pairing, num_steps=num_steps, order=2, vectorized=vectorized
        )
        expected_loss, expected_gradient, pairs = 0, 0, 0
        for s in range(NUM_TASKS):
            others = [q for q in range(NUM_TASKS) if q != s]
            for q in [(s + 1) % NUM_TASKS] if pairing == "ring" else others:
                jacobian = np.linalg.matrix_power(
                    np.eye(DIM) - RATE * HESSIANS[s], num_steps
                )
                fast = CENTRES[s] + jacobian @ (START - CENTRES[s])
                difference = fast - CENTRES[q]
                expected_loss += difference @ HESSIANS[q] @ difference / 2
                expected_gradient += jacobian.T @ HESSIANS[q] @ difference
                pairs += 1
        self.assert_close(
            np.mean(results["outer_loss"]), expected_loss / pairs, rtol=1e-10
        )
        self.assert_close(gradient, expected_gradient / pairs, rtol=1e-10)

    @pytest.mark.parametrize("vectorized", [True, False])
    def test_no_inner_step_is_the_multi_task_gradient(self, vectorized):
        results, gradient = run("ring", num_steps=0, order=2, vectorized=vectorized)
        assert set(results) == {"outer_loss"}
        expected = np.mean(
            [h @ (START - c) for c, h in zip(CENTRES, HESSIANS, strict=True)], axis=0
        )
        self.assert_close(gradient, expected, rtol=1e-10)

    @pytest.mark.parametrize("vectorized", [True, False])
    def test_inner_gradients_and_losses_of_each_task(self, vectorized):
        results, _ = run("ring", num_steps=1, order=2, vectorized=vectorized)
        differences = START - CENTRES
        expected = np.einsum("sij,sj->si", HESSIANS, differences)
        self.assert_close(results["inner_gradients"][0], expected)
        self.assert_close(
            results["inner_loss"], np.sum(differences * expected, axis=1) / 2
        )

    @pytest.mark.parametrize("clipnorm", [0.5, None])
    def test_clips_the_inner_gradient(self, clipnorm):
        options = {
            "learning_rate": RATE,
            "num_steps": 1,
            "order": 1,
            "clipnorm": clipnorm,
        }
        tasks = TASKS, partners("ring", NUM_TASKS)
        losses = transfer_losses(
            task_loss, [tf.constant(START)], *tasks, vectorized=False, **options
        )
        means = mean_transfer_losses(
            lambda values, *arguments: task_loss(*arguments),
            lambda values: values,
            [tf.constant(START)],
            *tasks,
            **options,
        )
        expected = []
        for s, q in ((0, 1), (1, 2), (2, 0)):
            gradient = HESSIANS[s] @ (START - CENTRES[s])
            norm = np.linalg.norm(gradient)
            assert norm > 0.5
            fast = START - RATE * gradient * (clipnorm / norm if clipnorm else 1)
            difference = fast - CENTRES[q]
            expected.append(difference @ HESSIANS[q] @ difference / 2)
        self.assert_close(losses["outer_loss"], expected, rtol=1e-10)
        self.assert_close(means["outer_loss"], np.mean(expected), rtol=1e-10)


class MeanTransferLossesTest(TestCase):
    @pytest.mark.parametrize("scale", [1.0, 8.0])
    @pytest.mark.parametrize("graph", [True, False])
    def test_equals_all_tasks_at_once(self, graph, scale):
        expected, expected_gradient = run("all", num_steps=2, order=2, vectorized=False)

        def one_by_one():
            start = tf.constant(START)
            with tf.GradientTape() as tape:
                tape.watch(start)
                means = mean_transfer_losses(
                    lambda values, *arguments: task_loss(*arguments),
                    lambda values: values,
                    [start],
                    TASKS,
                    partners("all", NUM_TASKS),
                    scale=scale,
                    learning_rate=RATE,
                    num_steps=2,
                    order=2,
                )
                loss = 3 * means["outer_loss"]
            return means, tape.gradient(loss, start)

        means, gradient = (tf.function(one_by_one) if graph else one_by_one)()
        assert set(means) == {"outer_loss", "inner_loss"}
        for name, mean in means.items():
            self.assert_close(mean, np.mean(expected[name]), rtol=1e-12)
        self.assert_close(gradient, 3 * expected_gradient, rtol=1e-12)


class PairwiseCosinesTest(TestCase):
    def test_against_numpy(self):
        a, b = RNG.normal(size=(3, 2, 2)), RNG.normal(size=(3, 5))
        flat = np.concatenate([a.reshape(3, -1), b], axis=1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        cosines = pairwise_cosines([tf.constant(a), tf.constant(b)])
        self.assert_close(cosines, flat @ flat.T)
        mean = np.mean([(flat @ flat.T)[s, q] for s, q in [(0, 1), (0, 2), (1, 2)]])
        self.assert_close(mean_off_diagonal(cosines), mean)

    def test_a_task_without_gradient_is_finite(self):
        cosines = pairwise_cosines([tf.constant([[0.0, 0.0], [1.0, 0.0]])])
        self.assert_close(cosines, [[0, 0], [0, 1]])
