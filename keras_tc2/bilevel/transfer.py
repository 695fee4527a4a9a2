"""Stage 2, the outer loss: what was learned on one task, judged by the others."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_tc2.bilevel.inner_loop import adapt


def split_tasks(batch, order, num_tasks):
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


def task_of_each(order, batch_size, num_tasks):
    """The task of each image of a batch: int tensor `(batch,)` in [0, num_tasks)."""
    group_size = batch_size // num_tasks
    if order is None:
        return np.repeat(np.arange(num_tasks, dtype="int32"), group_size)
    return ops.cast(ops.argsort(order), "int32") // group_size


def transfer_losses(
    task_loss,
    weights,
    tasks,
    partners,
    *,
    learning_rate,
    num_steps,
    order,
    vectorized,
):
    """For each task s: adapts to s, then mean over its partners q of ℓ(T_q; θ_s).

    Args:
        task_loss: callable `(weights, task, task_index)` to the scalar loss of a task.
        weights: list of tensors, θ.
        tasks: tensor `(num_tasks, ...)`, or a nest of them, as `split_tasks` gives.
        partners: int array `(num_tasks, num_partners)`, as `pairing.partners` gives.
        learning_rate: float, α of the inner steps.
        num_steps: int >= 0. Inner steps.
        order: `1` or `2`, of the derivative through the inner steps.
        vectorized: bool. Whether, in a graph, all tasks run as one batched
            computation, for small networks of matrix products, or one after the
            other, as they always do eagerly.

    Returns:
        Dict of `outer_loss` `(num_tasks,)` and, if there are inner steps,
        `inner_loss` `(num_tasks,)` and `inner_gradients`, a list aligned with
        `weights` of tensors `(num_tasks, ...)`.
    """

    def transfer(elements):
        task, task_index, partner_tasks, partner_indices = elements
        fast_weights, inner_loss, gradients = adapt(
            lambda weights: task_loss(weights, task, task_index),
            weights,
            learning_rate=learning_rate,
            num_steps=num_steps,
            order=order,
        )
        outer_losses = [
            task_loss(fast_weights, _at(partner_tasks, i), partner_indices[i])
            for i in range(partners.shape[1])
        ]
        results = {"outer_loss": sum(outer_losses) / len(outer_losses)}
        if num_steps:
            results |= {"inner_loss": inner_loss, "inner_gradients": gradients}
        return results

    indices = np.arange(len(partners), dtype="int32")
    if vectorized and not tf.executing_eagerly():
        partner_tasks = _at(tasks, partners)
        return ops.vectorized_map(
            transfer, (tasks, indices, partner_tasks, partners.astype("int32"))
        )
    results = [
        transfer((_at(tasks, s), s, _at(tasks, partners[s]), partners[s]))
        for s in indices
    ]
    return _stack(results)


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


def pairwise_cosines(gradients):
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


def mean_off_diagonal(matrix):
    """The mean over s ≠ q of a square matrix, a scalar tensor."""
    size = matrix.shape[0]
    return (ops.sum(matrix) - ops.trace(matrix)) / (size * (size - 1))
