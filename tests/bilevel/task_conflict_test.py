import numpy as np
import pytest

from keras_tc2.bilevel import TaskConflict
from tests.test_case import TestCase

OPTIONS = {"num_bootstraps": 200, "level": 0.95, "seed": 0}
SIZE = 400


def means(cosine, num_tasks=3):
    """Expected gradients of unit length, any two with the given cosine."""
    gram = np.full((num_tasks, num_tasks), cosine) + (1 - cosine) * np.eye(num_tasks)
    values, vectors = np.linalg.eigh(gram)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return np.pad(root, [(0, 0), (0, SIZE - num_tasks)])


def batches(generator, signal, *, number=12, halves=1, noise=0.15):
    """Gradients `(halves, tasks, size)`: noise has 3 times the length of the signal."""
    shape = (number, halves, *signal.shape)
    return list(signal + noise * generator.normal(size=shape))


def estimates(cosine, repetitions=40, **arguments):
    halves = arguments.setdefault("halves", 1)
    generator = np.random.default_rng(1)
    return [
        TaskConflict(
            batches(generator, means(cosine), **arguments),
            same_tasks=halves == 1,
            **OPTIONS,
        )
        for _ in range(repetitions)
    ]


class TaskConflictTest(TestCase):
    @pytest.mark.parametrize("cosine", [-0.4, 0.0, 0.7])
    @pytest.mark.parametrize("halves", [1, 2])
    def test_the_mean_is_free_of_noise(self, cosine, halves):
        # Halves have fewer products, so they are given more batches.
        number = 12 if halves == 1 else 60
        found = estimates(cosine, halves=halves, number=number)
        error = np.std([one.mean for one in found]) / np.sqrt(len(found))
        assert error < 0.03
        assert abs(np.mean([one.mean for one in found]) - cosine) < 4 * error + 0.01
        # As measured, noise of 3 times the length hides nine tenths of it.
        assert abs(np.mean([one.between for one in found]) - cosine / 10) < 0.01
        assert abs(np.mean([one.within for one in found]) - 1 / 10) < 0.01

    @pytest.mark.parametrize("halves", [1, 2])
    def test_the_interval_covers(self, halves):
        number = 12 if halves == 1 else 60
        found = estimates(-0.2, halves=halves, number=number, repetitions=100)
        covers = [one.interval[0] <= -0.2 <= one.interval[1] for one in found]
        assert np.mean(covers) > 0.9
        widths = [one.interval[1] - one.interval[0] for one in found]
        assert np.median(widths) < 0.5

    def test_against_loops(self):
        gradients = batches(np.random.default_rng(0), means(0.3), number=5, noise=0.02)
        found = TaskConflict(gradients, same_tasks=True, **OPTIONS)
        products = np.zeros((3, 3))
        for k in range(5):
            for other in range(5):
                if k != other:
                    products += gradients[k][0] @ gradients[other][0].T / 20
        lengths = np.sqrt(np.diagonal(products))
        self.assert_close(found.cosines, products / np.outer(lengths, lengths))
        off = ~np.eye(3, dtype=bool)
        mean = products[off].mean() / np.diagonal(products).mean()
        self.assert_close(found.mean, mean)
        squares = np.mean([np.sum(g[0] ** 2, axis=-1) for g in gradients], axis=0)
        scaled = products / np.sqrt(np.outer(squares, squares))
        self.assert_close(found.between, scaled[off].mean())
        self.assert_close(found.within, np.diagonal(scaled).mean())
        assert found.intervals.shape == (2, 3, 3)
        assert np.all(found.intervals[0] <= found.cosines)
        assert np.all(found.cosines <= found.intervals[1])

    def test_halves_against_loops(self):
        gradients = batches(
            np.random.default_rng(0), means(0.3), number=5, halves=2, noise=0.02
        )
        found = TaskConflict(gradients, same_tasks=False, **OPTIONS)
        between = [
            g[a, s] @ g[b, q]
            for g in gradients
            for a in range(2)
            for b in range(2)
            for s in range(3)
            for q in range(3)
            if s != q
        ]
        within = [g[0, s] @ g[1, s] for g in gradients for s in range(3)]
        self.assert_close(found.mean, np.mean(between) / np.mean(within))
        assert found.cosines is None and found.intervals is None

    def test_scale_and_order_do_not_matter(self):
        gradients = batches(np.random.default_rng(0), means(0.3), noise=0.05)
        found = TaskConflict(gradients, same_tasks=True, **OPTIONS)
        scaled = TaskConflict(
            [10 * g for g in gradients[::-1]], same_tasks=True, **OPTIONS
        )
        self.assert_close(found.cosines, scaled.cosines, rtol=1e-4, atol=1e-5)
        self.assert_close(found.within, scaled.within, rtol=1e-4)

    def test_says_what_is_established(self):
        def sentence(cosine, noise, number=12):
            generator = np.random.default_rng(1)
            gradients = batches(generator, means(cosine), noise=noise, number=number)
            return str(TaskConflict(gradients, same_tasks=True, **OPTIONS))

        assert sentence(-0.4, 0.02).startswith("The tasks conflict: cosine")
        assert sentence(0.5, 0.02).startswith("The tasks agree: cosine")
        assert sentence(0.0, 0.15).startswith("Neither conflict nor agreement")
        assert sentence(-0.4, 3.0, number=2).startswith("Neither conflict nor")
        assert "95% interval" in sentence(0.5, 0.02)

    def test_pure_noise_decides_nothing(self):
        found = estimates(0.0, noise=10.0, number=4, repetitions=60)
        decided = [one.established is not None for one in found]
        assert np.mean(decided) < 0.2

    def test_needs_two_batches_of_two_tasks(self):
        gradients = batches(np.random.default_rng(0), means(0.3), number=1)
        with pytest.raises(ValueError, match="Received: 1 batches of 3 tasks"):
            TaskConflict(gradients, same_tasks=True, **OPTIONS)
        with pytest.raises(ValueError, match="at least two tasks"):
            TaskConflict([np.ones((1, 1, 5))] * 3, same_tasks=True, **OPTIONS)
        with pytest.raises(ValueError, match="Received: 0 batches"):
            TaskConflict([], same_tasks=True, **OPTIONS)
