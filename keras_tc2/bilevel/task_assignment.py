"""Which images of a batch make a task."""

from typing import Self

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import integer, made
from keras_tc2.precision import l2_normalize, rounded_for_ranking


class TaskAssignment:
    """Base class of the rules that split a batch into M tasks of equal size.

    A subclass implements `order`, and is registered with Keras if a pretrainer that
    uses it shall be saved. Both views of an image always stay in one task.

    Attributes:
        same_tasks: bool, of the class. Whether task s of one batch is task s of the
            next. Defaults to `False`.
    """

    same_tasks = False

    def order(
        self, features: Tensor, task_ids: Tensor | None, num_tasks: int
    ) -> Tensor | None:
        """Sorts the images of a batch by task.

        Args:
            features: float tensor `(batch, features)`, the mean of the two views'
                features, without gradient; 0 where that is not finite.
            task_ids: int tensor `(batch,)`, or `None` if the data bring none.
            num_tasks: int, M; divides the batch size.

        Returns:
            Int tensor `(batch,)`, a permutation: its first `batch / M` entries index
            the images of task 0, the next those of task 1, and so on. `None` stands
            for the batch as it comes.
        """
        raise TypeError(
            f"{type(self).__name__} must override "
            "`order(features, task_ids, num_tasks)`."
        )

    def get_config(self) -> Config:
        """The constructor arguments, as `keras.saving` expects."""
        return {}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The rule that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_tc2")
class BlockAssignment(TaskAssignment):
    """The batch as it comes, cut in M equal blocks.

    Random tasks if the batch is shuffled; tasks that differ by their views if
    `data.two_views` is given one augmentation a block; domains if the batch is
    ordered by domain.
    """

    same_tasks = True

    def order(
        self, features: Tensor, task_ids: Tensor | None, num_tasks: int
    ) -> Tensor | None:
        """The batch as it comes."""
        return None


@keras.saving.register_keras_serializable(package="keras_tc2")
class ClusterAssignment(TaskAssignment):
    """Groups of equal size of images with similar features.

    k-means on the unit sphere with balanced groups: centres start spread along the
    features' main direction; each group in turn takes the images that prefer it most
    to the groups still open; centres move to their groups' means. Of images that no
    group tells apart (cosines are compared on a grid of 2⁻¹⁶) the earlier comes first.

    Args:
        num_iterations: int >= 1. Rounds of k-means. Defaults to `3`.

    Raises:
        ValueError: if `num_iterations` is below one.
    """

    def __init__(self, num_iterations: int = 3) -> None:
        self.num_iterations = integer("num_iterations", num_iterations)

    def order(
        self, features: Tensor, task_ids: Tensor | None, num_tasks: int
    ) -> Tensor | None:
        """The images sorted by cluster."""
        points = l2_normalize(features)
        group_size = points.shape[0] // num_tasks
        # Equal slices along the main direction are balanced groups to start from.
        positions = ops.matmul(points, _main_direction(points))
        order = tf.argsort(rounded_for_ranking(positions), stable=True)
        for _ in range(self.num_iterations):
            shape = (num_tasks, group_size, points.shape[1])
            groups = ops.reshape(ops.take(points, order, axis=0), shape)
            centres = l2_normalize(ops.mean(groups, axis=1))
            order = _balanced_groups(ops.matmul(points, ops.transpose(centres)))
        return order

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {"num_iterations": self.num_iterations}


@keras.saving.register_keras_serializable(package="keras_tc2")
class GivenAssignment(TaskAssignment):
    """The task, or domain, that comes with each image.

    The data give `(view_1, view_2, task_ids)`, ids in [0, M). Every batch holds
    `batch / M` images of each task; `order` stops the run, naming the counts, on a
    batch that does not. XLA drops that check: there the order of such a batch is no
    permutation, which makes the loss of a pretrainer NaN.
    """

    same_tasks = True

    def order(
        self, features: Tensor, task_ids: Tensor | None, num_tasks: int
    ) -> Tensor | None:
        """The images sorted by their given task."""
        if task_ids is None:
            raise ValueError(
                '`task_assignment="given"` needs a task id with each image: batches '
                "of (view_1, view_2, task_ids). Received: (view_1, view_2)"
            )
        group_size = features.shape[0] // num_tasks
        ids = tf.cast(task_ids, "int32")
        of_task = ids[:, None] == tf.range(num_tasks)
        counts = tf.reduce_sum(tf.cast(of_task, "int32"), axis=0)
        balanced = tf.reduce_all(counts == group_size)
        check = tf.debugging.Assert(
            balanced,
            [
                '`task_assignment="given"` needs the same number of images of each '
                f"task in every batch: {group_size} of each of the tasks 0 to "
                f"{num_tasks - 1}. Received counts of these:",
                counts,
                "; ids from",
                tf.reduce_min(ids),
                "to",
                tf.reduce_max(ids),
            ],
            summarize=64,
        )
        with tf.control_dependencies([check] if check is not None else []):
            order = tf.argsort(ids, stable=True)
        return tf.where(balanced, order, -1)


def _main_direction(points):
    """The leading principal direction, by power iteration from a fixed start."""
    centred = points - ops.mean(points, axis=0, keepdims=True)
    distances = ops.sum(ops.square(centred), axis=-1)
    start = ops.argmax(rounded_for_ranking(distances))
    direction = ops.take(centred, start, axis=0)
    for _ in range(8):
        direction = ops.matmul(ops.matmul(centred, direction), centred)
        direction = l2_normalize(direction)
    return direction


def _balanced_groups(similarities):
    """Sorts images into groups of equal size by `(batch, groups)` similarities."""
    similarities = rounded_for_ranking(similarities)
    batch_size, num_groups = similarities.shape
    group_size = batch_size // num_groups
    taken = ops.zeros((batch_size,), dtype=similarities.dtype)
    chosen = []
    for group in range(num_groups):
        preference = similarities[:, group]
        if group < num_groups - 1:
            preference = preference - ops.max(similarities[:, group + 1 :], axis=-1)
        _, members = ops.top_k(preference - 1e3 * taken, group_size)
        taken = taken + ops.sum(
            ops.one_hot(members, batch_size, dtype=taken.dtype), axis=0
        )
        chosen.append(members)
    return ops.concatenate(chosen, axis=0)


def checked_order(
    assignment: TaskAssignment,
    features: Tensor,
    task_ids: Tensor | None,
    num_tasks: int,
) -> Tensor | None:
    """What `assignment.order` gives, if it is a permutation of the images or `None`.

    Task ids, or constants, would be taken for images, and train on a few of them. XLA
    drops that check; see `nan_unless_permutation`. A rule sees finite features alone,
    so that it sorts a batch of NaN too, whose loss says that it is NaN.

    Raises:
        ValueError: if its shape is not `(batch,)`.
        tf.errors.InvalidArgumentError: if an image is missing, naming what was given.
    """
    features = ops.where(ops.isfinite(features), features, 0.0)
    order = assignment.order(features, task_ids, num_tasks)
    if order is None:
        return None
    order, size = ops.convert_to_tensor(order), features.shape[0]
    expected = (
        f"`{type(assignment).__name__}.order` must return a permutation of the images, "
        f"int ({size},): first those of task 0, then those of task 1, and so on."
    )
    if tuple(order.shape) != (size,) or not tf.as_dtype(order.dtype).is_integer:
        raise ValueError(f"{expected} Received: {order.dtype} {tuple(order.shape)}")
    complete = tf.debugging.assert_equal(
        tf.sort(order),
        tf.range(size, dtype=order.dtype),
        message=f"{expected} Received, sorted:",
        summarize=16,
    )
    with tf.control_dependencies([complete] if complete is not None else []):
        return tf.identity(order)


def nan_unless_permutation(order: Tensor | None, loss: Tensor) -> Tensor:
    """The loss, as it is if `order` is a permutation or `None`, otherwise NaN.

    Args:
        order: int tensor `(batch,)`, or `None`.
        loss: float scalar tensor.
    """
    if order is None:
        return loss
    images = tf.range(order.shape[0], dtype=order.dtype)
    complete = tf.reduce_all(tf.sort(order) == images)
    return tf.where(complete, loss, float("nan"))


_BY_NAME = {
    "blocks": BlockAssignment,
    "cluster": ClusterAssignment,
    "given": GivenAssignment,
}
_ALIASES = {"random": "blocks", "kmeans": "cluster", "domain": "given"}


def get_task_assignment(
    identifier: str | TaskAssignment | type[TaskAssignment],
) -> TaskAssignment:
    """A rule, from its name (`"blocks"`, `"cluster"`, `"given"`), class or as it is.

    Raises:
        ValueError: if it is none of these.
    """
    return made(
        "task_assignment", identifier, TaskAssignment, _BY_NAME, aliases=_ALIASES
    )
