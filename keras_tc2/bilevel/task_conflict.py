"""Whether tasks conflict: cosines of their gradients, free of the noise of a batch."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from keras_tc2 import checks
from keras_tc2.annotations import Array


class TaskConflict:
    """Cosines of the tasks' expected gradients, with bootstrap intervals.

    The cosine of two gradients of one batch is mostly noise: in high dimension the
    noise of one is nearly orthogonal to that of the other, so the cosine nears zero
    whatever the tasks ask for, and two gradients of *one* task look as far apart. Here
    every product is of gradients of different images, so that its expectation is that
    of the expected gradients (a U-statistic), and products between tasks are divided
    by those within: the correction for attenuation of Spearman (1904, "The proof and
    measurement of association between two things"),

        cos(s, q) = ⟨s, q⟩ / √(⟨s, s⟩ ⟨q, q⟩)

    where ⟨s, s⟩, too, is between gradients of different images.

    Args:
        gradients: list of float arrays `(halves, num_tasks, size)`, one a batch, at
            least two. One half, the whole task, if `same_tasks`, otherwise two disjoint
            halves of every task.
        same_tasks: bool. Whether task s is the same in every batch, as blocks and given
            tasks are: products are then between batches. Otherwise, as for clusters,
            they are between the halves of one batch, and only `mean` has a meaning.
        num_bootstraps: int >= 1, resamplings of the batches.
        level: float in [0, 1], coverage of the intervals.
        seed: int >= 0, of the resampling.

    Attributes:
        mean: float, mean product between tasks over mean product within: the mean
            cosine of two tasks, weighted by the lengths of their gradients. NaN if the
            product within is not above zero: more batches are needed.
        interval: `(low, high)`, floats in [−1, 1], its bootstrap interval: percentiles,
            expanded for the number of batches (Hesterberg, 2015, "What teachers should
            know about the bootstrap"). Resamplings in which tasks do not even agree
            with themselves count to both ends.
        cosines: array `(num_tasks, num_tasks)` of cos(s, q), 1 on the diagonal, NaN
            where undefined; `None` if tasks differ from batch to batch.
        intervals: array `(2, num_tasks, num_tasks)`, or `None`.
        between: float, the mean cosine of two tasks as measured, noise included.
        within: float, the mean cosine of two gradients of one task on different images.
        num_batches: int.

    Raises:
        ValueError: if there are fewer than two batches or tasks.
    """

    def __init__(
        self,
        gradients: Sequence[Array],
        *,
        same_tasks: bool,
        num_bootstraps: int,
        level: float,
        seed: int,
    ) -> None:
        checks.integer("num_bootstraps", num_bootstraps)
        checks.probability("level", level)
        gradients = [np.asarray(batch, "float32") for batch in gradients]
        self.num_batches = len(gradients)
        if self.num_batches < 2 or gradients[0].shape[1] < 2:
            tasks = gradients[0].shape[1] if gradients else 0
            raise ValueError(
                "Conflict is estimated from at least two batches of at least two "
                f"tasks. Received: {self.num_batches} batches of {tasks} tasks"
            )
        self.level = level
        products = between_batches if same_tasks else between_halves
        sums = products(gradients)
        generator = np.random.default_rng(seed)
        even = np.full(self.num_batches, 1 / self.num_batches)
        counts = generator.multinomial(self.num_batches, even, size=num_bootstraps)
        found = sums(np.ones((1, self.num_batches)))[0]
        resampled = sums(counts.astype("float64"))

        self.mean = float(_mean_cosine(found[None])[0])
        self.interval = tuple(
            float(end) for end in self._percentiles(_mean_cosine(resampled))
        )
        self.cosines = self.intervals = None
        if same_tasks:
            self.cosines = _cosines(found)
            self.intervals = self._percentiles(_cosines(resampled))
        lengths = np.mean(
            [np.sum(np.square(b, dtype="float64"), (0, 2)) / len(b) for b in gradients],
            axis=0,
        )
        scaled = found / np.sqrt(np.outer(lengths, lengths))
        self.within = float(np.mean(np.diagonal(scaled)))
        self.between = float(np.mean(scaled[~np.eye(len(scaled), dtype=bool)]))

    def _percentiles(self, resampled):
        # What is undefined may be anything: it counts to either end in turns.
        turns = np.arange(len(resampled)) % 2 * 2.0 - 1
        turns = turns.reshape(-1, *[1] * (resampled.ndim - 1))
        resampled = np.where(np.isnan(resampled), turns, resampled)
        freedom = self.num_batches - 1
        quantile = stats.t.ppf((1 - self.level) / 2, freedom)
        tail = stats.norm.cdf(quantile * np.sqrt(self.num_batches / freedom))
        return np.clip(np.quantile(resampled, [tail, 1 - tail], axis=0), -1, 1)

    @property
    def established(self) -> str | None:
        """`"conflict"` or `"agreement"`, or `None` if the interval holds 0."""
        low, high = self.interval
        if high < 0:
            return "conflict"
        return "agreement" if low > 0 else None

    def __str__(self) -> str:
        """What is established, and the numbers, in two sentences."""
        low, high = self.interval
        found = {
            "conflict": "The tasks conflict",
            "agreement": "The tasks agree",
            None: "Neither conflict nor agreement of the tasks is established",
        }[self.established]
        return (
            f"{found}: cosine of two tasks' expected gradients {self.mean:.2f} "
            f"({self.level:.0%} interval {low:.2f} to {high:.2f}, {self.num_batches} "
            f"batches). As measured, noise included: {self.between:.3f} between tasks, "
            f"{self.within:.3f} within one."
        )


def between_batches(gradients):
    """Products ⟨s, q⟩ over pairs of different batches, as a function of their counts.

    Args:
        gradients: list of float arrays `(1, num_tasks, size)`.

    Returns:
        Callable from counts `(samples, batches)` to products
        `(samples, num_tasks, num_tasks)`.
    """
    number, tasks = len(gradients), gradients[0].shape[1]
    flat = np.concatenate([batch[0] for batch in gradients])
    gram = (flat @ flat.T).astype("float64").reshape(number, tasks, number, tasks)
    gram = gram.transpose(0, 2, 1, 3).reshape(number, number, tasks * tasks)
    gram[np.arange(number), np.arange(number)] = 0

    def products(counts):
        # A batch drawn twice is no pair of batches: its noise is the same.
        pairs = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = np.einsum("bk,bl,klp->bp", counts, counts, gram, optimize=True)
            return (sums / pairs[:, None]).reshape(-1, tasks, tasks)

    return products


def between_halves(gradients):
    """Products ⟨s, q⟩ over the halves of each batch, as a function of their counts.

    Args:
        gradients: list of float arrays `(2, num_tasks, size)`.

    Returns:
        Callable, as of `between_batches`.
    """
    products_of_batches = []
    for first, second in gradients:
        across = (first @ second.T).astype("float64")
        within = (first @ first.T + second @ second.T).astype("float64")
        mean = (across + across.T + within) / 4
        np.fill_diagonal(mean, np.diagonal(across))
        products_of_batches.append(mean)
    stacked = np.stack(products_of_batches)

    def products(counts):
        return np.einsum("bk,kst->bst", counts, stacked) / counts.sum(1)[:, None, None]

    return products


def _mean_cosine(products):
    """Mean product between tasks over mean product within, one a sample, or NaN."""
    size = products.shape[-1]
    within = np.trace(products, axis1=1, axis2=2) / size
    between = (products.sum((1, 2)) - within * size) / (size * (size - 1))
    return _ratio(between, within, within > 0)


def _cosines(products):
    """cos(s, q) from products `(..., num_tasks, num_tasks)`, NaN where undefined."""
    own = np.diagonal(products, axis1=-2, axis2=-1)
    defined = (own[..., :, None] > 0) & (own[..., None, :] > 0)
    lengths = np.sqrt(np.maximum(own, 0))
    cosines = _ratio(products, lengths[..., :, None] * lengths[..., None, :], defined)
    diagonal = np.eye(products.shape[-1], dtype=bool)
    return np.where(diagonal & defined, 1.0, cosines)


def _ratio(above, below, defined):
    return np.divide(above, below, out=np.full_like(above, np.nan), where=defined)
