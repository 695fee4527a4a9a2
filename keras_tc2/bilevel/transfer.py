"""Stage 2, the outer loss: what was learned on one task, judged by the others."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Array, Tensor
from keras_tc2.bilevel.gradients import value_and_gradients
from keras_tc2.bilevel.inner_loop import adapt
from keras_tc2.precision import at_least_float32


def split_tasks(batch: Any, order: Tensor | None, num_tasks: int) -> Any:
    """Cuts a batch into its tasks, all that belongs to an image in the same one.

    Args:
        batch: tensor `(batch, ...)`, or a nest of them: views, targets.
        order: int tensor `(batch,)`, the images sorted by task; `None` for the batch
            as it comes.
        num_tasks: int, M; divides the batch size.

    Returns:
        The same nest of tensors `(num_tasks, batch / num_tasks, ...)`.
    """

    def split(x):
        if order is not None:
            x = ops.take(x, order, axis=0)
        shape = (num_tasks, x.shape[0] // num_tasks, *x.shape[1:])
        return ops.reshape(x, shape)

    return keras.tree.map_structure(split, batch)


def task_of_each(order: Tensor | None, batch_size: int, num_tasks: int) -> Tensor:
    """The task of each image of a batch: int tensor `(batch,)` in [0, num_tasks)."""
    group_size = batch_size // num_tasks
    if order is None:
        return np.repeat(np.arange(num_tasks, dtype="int32"), group_size)
    return ops.cast(ops.argsort(order), "int32") // group_size


def transfer_loss(
    task_loss,
    weights,
    own,
    partner_tasks,
    *,
    learning_rate,
    num_steps,
    order,
    clipnorm,
):
    """Adapts to one task, and judges the result by its partners.

    Args:
        task_loss: callable `(weights, task, task_index)` to the scalar loss of a task.
        weights: list of tensors, θ.
        own: `(task, task_index)`: a nest of tensors, and an int.
        partner_tasks: the same of its partners, with one more axis in front.
        learning_rate, num_steps, order, clipnorm: as of `adapt`.

    Returns:
        Dict of the scalar `outer_loss` and, if there are inner steps, the scalar
        `inner_loss` and `inner_gradients`, a list of tensors aligned with `weights`.
    """
    fast_weights, inner_loss, gradients = adapt(
        lambda weights: task_loss(weights, *own),
        weights,
        learning_rate=learning_rate,
        num_steps=num_steps,
        order=order,
        clipnorm=clipnorm,
    )
    outer_losses = [
        task_loss(fast_weights, *_at(partner_tasks, i))
        for i in range(partner_tasks[1].shape[0])
    ]
    results = {"outer_loss": sum(outer_losses) / len(outer_losses)}
    if gradients is not None:
        results |= {"inner_loss": inner_loss, "inner_gradients": gradients}
    return results


def transfer_losses(
    task_loss: Callable[..., Tensor],
    weights: Sequence[Tensor],
    tasks: Any,
    partners: Array,
    *,
    vectorized: bool,
    learning_rate: float,
    num_steps: int,
    order: int,
    clipnorm: float | None = None,
) -> dict[str, Any]:
    """For each task s: adapts to s, then mean over its partners q of ℓ(T_q; θ_s).

    Args:
        task_loss: callable `(weights, task, task_index)` to the scalar loss of a task.
        weights: list of tensors, θ.
        tasks: tensor `(num_tasks, ...)`, or a nest of them, as `split_tasks` gives.
        partners: int array `(num_tasks, num_partners)`, as `pairing.partners` gives.
        vectorized: bool. Whether, in a graph, all tasks run as one batched
            computation, for small networks of matrix products, or one after the
            other, as they always do eagerly.
        learning_rate: float; this and those below as of `adapt`.
        num_steps: int >= 0.
        order: `1` or `2`.
        clipnorm: float > 0, or `None` for no bound. Defaults to `None`.

    Returns:
        Dict of float tensors with an axis of length `num_tasks` in front: `outer_loss`
        and, if there are inner steps, `inner_loss` and `inner_gradients` before the
        first of them, the latter a list aligned with `weights`.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import bilevel

    tasks = tf.constant([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    losses = bilevel.transfer_losses(
        lambda weights, task, task_index: tf.reduce_mean((weights[0] - task) ** 2),
        [tf.zeros(2)],
        tasks,
        bilevel.partners("ring", len(tasks)),
        vectorized=False,
        learning_rate=0.1,
        num_steps=1,
        order=2,
    )
    print(losses["outer_loss"])  # of tasks 1, 2 and 0, each under θ_s
    ```
    """

    def transfer(elements):
        return transfer_loss(
            task_loss,
            weights,
            *elements,
            learning_rate=learning_rate,
            num_steps=num_steps,
            order=order,
            clipnorm=clipnorm,
        )

    indices = np.arange(len(partners), dtype="int32")
    indexed = (tasks, indices)
    elements = (indexed, _at(indexed, partners))
    if vectorized and not tf.executing_eagerly():
        with _outside_xla():
            return ops.vectorized_map(transfer, elements)
    return _stack([transfer(_at(elements, s)) for s in indices])


@contextlib.contextmanager
def _outside_xla():
    """Within it, `tf.vectorized_map` does not know that XLA compiles the graph.

    If it does, it wraps itself in a function, and its gradient takes shapes from within
    that function. XLA wants shapes as constants, takes the whole function for one, and
    with it the weights: every step is compiled anew. Not wrapped, it compiles once.
    """
    graph = tf.compat.v1.get_default_graph()
    with contextlib.ExitStack() as contexts:
        while graph is not None:
            # Leaves the control flow context of the graph.
            contexts.enter_context(graph.control_dependencies(None))
            graph = getattr(graph, "outer_graph", None)
        yield


def mean_transfer_losses(
    task_loss: Callable[..., Tensor],
    weights: Callable[[Sequence[Tensor]], Sequence[Tensor]],
    values: Sequence[Tensor],
    tasks: Any,
    partners: Array,
    *,
    learning_rate: float,
    num_steps: int,
    order: int,
    clipnorm: float | None = None,
    scale: Any = 1.0,
) -> dict[str, Tensor]:
    """The means of `transfer_losses`, keeping the memory of one task at a time.

    Every task's outer loss is differentiated before the next task begins, so that its
    activations can be forgotten: what is left of it is a gradient.

    Args:
        task_loss: callable `(values, weights, task, task_index)` to the scalar loss of
            a task. Whatever it is to be differentiated by must reach it by `values`.
        weights: callable `(values)` to θ, a list of tensors.
        values: list of tensors or variables.
        tasks: as in `transfer_losses`.
        partners: as in `transfer_losses`.
        learning_rate: float; this and the next three as of `adapt`.
        num_steps: int >= 0.
        order: `1` or `2`.
        clipnorm: float > 0, or `None` for no bound. Defaults to `None`.
        scale: scalar. What the loss is multiplied by while it is differentiated, for
            gradients that half precision can hold. Defaults to `1.0`.

    Returns:
        Dict of scalars, float32 or float64: `outer_loss`, which can be differentiated
        once, by `values`, and, if there are inner steps, `inner_loss`, which cannot.
    """
    num_tasks = len(partners)
    names = ["outer_loss"] + ["inner_loss"] * bool(num_steps)
    indexed = (tasks, np.arange(num_tasks, dtype="int32"))

    def add_task(s, sums, gradient_sums, values):
        own = _at(indexed, s)
        partner_tasks = _at(indexed, ops.take(partners, s, axis=0))

        def scaled_loss(values):
            results = transfer_loss(
                lambda *arguments: task_loss(values, *arguments),
                weights(values),
                own,
                partner_tasks,
                learning_rate=learning_rate,
                num_steps=num_steps,
                order=order,
                clipnorm=clipnorm,
            )
            return results["outer_loss"] * scale, results

        (_, results), gradients = value_and_gradients(scaled_loss, values)
        sums = [
            total + ops.cast(results[name], total.dtype)
            for total, name in zip(sums, names, strict=True)
        ]
        return sums, [
            total + ops.cast(gradient, total.dtype)
            for total, gradient in zip(gradient_sums, gradients, strict=True)
        ]

    @tf.custom_gradient
    def means(*values):
        _, sums, gradients = tf.while_loop(
            lambda s, *_: s < num_tasks,
            lambda s, *state: (s + 1, *add_task(s, *state, values)),
            (
                0,
                # Sums, and not in half precision.
                [at_least_float32(ops.zeros((), values[0].dtype))] * len(names),
                [at_least_float32(tf.zeros_like(value)) for value in values],
            ),
            parallel_iterations=1,
        )

        def backward(d_outer_loss, *_):
            factor = d_outer_loss / (num_tasks * scale)
            return [
                ops.cast(gradient * ops.cast(factor, gradient.dtype), value.dtype)
                for gradient, value in zip(gradients, values, strict=True)
            ]

        return [total / num_tasks for total in sums], backward

    # A variable would be read, not derived by.
    values = [tf.convert_to_tensor(value) for value in values]
    return dict(zip(names, means(*values), strict=True))


def _at(tasks, index):
    """The entries of all tensors of a nest at an index, or an array of them."""
    return keras.tree.map_structure(lambda x: ops.take(x, index, axis=0), tasks)


def _stack(results):
    """A list of dicts to a dict of stacked tensors, lists of tensors included."""
    stacked = {}
    for key, first in results[0].items():
        values = [result[key] for result in results]
        if isinstance(first, list):
            stacked[key] = [ops.stack(group) for group in zip(*values, strict=True)]
        else:
            stacked[key] = ops.stack(values)
    return stacked


def pairwise_cosines(gradients: Sequence[Tensor]) -> Tensor:
    """Cosines between the tasks' gradients: negative where tasks conflict.

    Args:
        gradients: list of tensors `(num_tasks, ...)`, one a variable.

    Returns:
        Float tensor `(num_tasks, num_tasks)`, in [−1, 1].
    """
    num_tasks = gradients[0].shape[0]
    flat = [ops.reshape(gradient, (num_tasks, -1)) for gradient in gradients]
    gram = sum(ops.matmul(g, ops.transpose(g)) for g in flat)
    norms = ops.sqrt(ops.maximum(ops.diagonal(gram), 1e-30))
    return gram / (norms[:, None] * norms[None, :])


def mean_off_diagonal(matrix: Tensor) -> Tensor:
    """The mean over s ≠ q of a square matrix, a scalar tensor."""
    size = matrix.shape[0]
    return (ops.sum(matrix) - ops.trace(matrix)) / (size * (size - 1))
