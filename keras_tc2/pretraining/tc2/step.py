"""A step of TC², read from top to bottom: from a batch to the losses it is made of.

    views x₁, x₂ → features h, embeddings z → tasks T_1 … T_M → factors V, weights W
    → inner step θ_s → outer loss → L

`TrainingStep.train_step` takes the gradient of L in θ and φ and makes the update.
Symbols are those of `docs/method.md`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_tc2 import bilevel
from keras_tc2.annotations import Tensor
from keras_tc2.bilevel.task_assignment import checked_order, nan_unless_permutation
from keras_tc2.bilevel.transfer import mean_off_diagonal, pairwise_cosines
from keras_tc2.pretraining.core.batch import Batch
from keras_tc2.pretraining.core.forward import call_layers, map_groups


def compute_losses(
    model: Any, batch: Batch, *, training: bool = True
) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
    """Every part of the outer loss, and the embeddings of the first two views.

    The method `compute_losses` of `TC2Pretrainer`.

    Args:
        model: `TC2Pretrainer`.
        batch: `Batch`.
        training: bool. Defaults to `True`.

    Returns:
        `(losses, embeddings)`, as `Pretrainer.compute_losses`.
    """
    # h = f(x), z = g(h), of every view.
    forward = model.forward(batch.views, training=training)
    # T_1 … T_M: which images are of which task.
    order = sorted_by_task(model, forward, batch.task_ids)
    # V = f_v(Z̄): factors that the tasks share. Z̄ is Z, constant for the encoder.
    factors = None
    if model.calibrator:
        constant = model._detach(to_calibrate(model, forward))
        factors = model.calibrator.factors(constant)
    parts, total = {}, 0.0
    # ℓ(batch; θ).
    if model.base_weight:
        parts["base_loss"] = base_loss(model, forward, factors, order, training)
        total += model.base_weight * parts["base_loss"]
    # W = f_w(Z̄, e_s), and ‖Z̄ − Z̄ VᵀV‖², ‖V Vᵀ − I‖², |W|.
    if model.calibrator:
        weights = weights_of(model, factors, constant, order, len(batch.views))
        terms = model.calibrator.regularizers(factors, constant, weights)
        parts |= terms
        total += (
            model.reconstruction_weight * terms["reconstruction"]
            + model.orthogonality_weight * terms["orthogonality"]
            + model.sparsity_weight * terms["sparsity"]
        )
    # θ_s = θ − α ∇ℓ(T_s; θ, φ) (inner), then the mean of ℓ(T_q; θ_s, φ) (outer).
    if model.transfer_weight:
        parts |= transfer_losses(model, forward, order, factors, training)
        total += model.transfer_weight * parts["outer_loss"]
    # L.
    parts["loss"] = nan_unless_permutation(order, total)
    return parts, forward.first_two_embeddings


def sorted_by_task(model, forward, task_ids):
    """The images of the batch sorted by task; `None` for as they come."""
    first_two = [ops.stop_gradient(h) for h in forward.features[:2]]
    return checked_order(
        model.task_assignment,
        sum(first_two) / len(first_two),
        task_ids,
        model.num_tasks,
    )


def to_calibrate(model, forward):
    """What of all views is calibrated: `(views * batch, dim)`."""
    return ops.concatenate(getattr(forward, model.calibrated_part), axis=0)


def base_loss(model, forward, factors, order, training):
    """ℓ(batch; θ), of calibrated embeddings if `calibrate_base` says so.

    The moving statistics of the layers after them stay those of the uncalibrated ones.
    """
    if not model.calibrate_base:
        return model.objective(*forward.outputs, targets=forward.targets)
    parts = getattr(forward, model.calibrated_part)
    tasks = bilevel.task_of_each(order, parts[0].shape[0], model.num_tasks)
    layers = model.scope.layers_after(model.calibrated_part)
    weights = [v.value for layer in layers for v in layer.trainable_variables]

    def calibrated_outputs(x):
        of_each = ops.concatenate([tasks] * (x.shape[0] // tasks.shape[0]), axis=0)
        calibrated = model.calibrator.calibrate(factors, x, of_each)
        return call_layers(layers, weights, calibrated, training=training)

    outputs = map_groups(calibrated_outputs, parts, forward.groups)
    return model.objective(*outputs, targets=forward.targets)


def weights_of(model, factors, embeddings, order, num_views):
    """W of all views, each image's under the embedding of its task."""
    tasks = bilevel.task_of_each(
        order, embeddings.shape[0] // num_views, model.num_tasks
    )
    return model.calibrator.weights_on(
        factors, embeddings, ops.concatenate([tasks] * num_views, axis=0)
    )


def transfer_losses(model, forward, order, factors, training):
    """The outer loss, and what is measured on the way to it."""
    # Evaluation takes no derivative, so there are no activations to save on.
    at_once = model.scope.vectorized or model.log_task_gradient_cosine or not training
    transfer = (of_each_task if at_once else one_by_one)(
        model, forward, order, factors, training, **model.inner_loop
    )
    found = {
        name: ops.mean(transfer[name])
        for name in ("outer_loss", "inner_loss")
        if name in transfer
    }
    if model.log_task_gradient_cosine:
        cosines = pairwise_cosines(transfer["inner_gradients"])
        found["task_gradient_cosine"] = mean_off_diagonal(cosines)
    return found


def of_each_task(model, forward, image_order, factors, training, **inner_loop):
    """All tasks at once; see `bilevel.transfer_losses`.

    Args:
        model: `TC2Pretrainer`.
        forward: `Forward` of the batch.
        image_order: int tensor `(batch,)`, the images sorted by task, or `None`.
        factors: float tensor `(num_factors, dim)`; `None` for no calibration.
        training: bool.
        **inner_loop: arguments of `bilevel.adapt`.
    """
    return bilevel.transfer_losses(
        lambda *arguments: task_loss(
            model, factors, *arguments, forward.groups, training
        ),
        model.scope.weights(),
        split(model, forward, image_order),
        model.partners,
        vectorized=model.scope.vectorized,
        **inner_loop,
    )


def one_by_one(model, forward, image_order, factors, training, **inner_loop):
    """With the memory of one task; see `bilevel.mean_transfer_losses`.

    For a scope that starts from the views, which need no derivative. Arguments as of
    `of_each_task`.
    """
    variables = model.trainable_variables
    optimizer = getattr(model, "optimizer", None)

    def under(values, function):
        mapping = list(zip(variables, values[: len(variables)], strict=True))
        with keras.StatelessScope(mapping):
            return function()

    def loss(values, *arguments):
        given = None if factors is None else values[-1]
        return under(
            values,
            lambda: task_loss(model, given, *arguments, forward.groups, training),
        )

    return bilevel.mean_transfer_losses(
        loss,
        lambda values: under(values, model.scope.weights),
        [*variables] if factors is None else [*variables, factors],
        split(model, forward, image_order),
        model.partners,
        scale=optimizer.scale_loss(1.0) if optimizer else 1.0,
        **inner_loop,
    )


def split(model, forward, order):
    """The batch cut into tasks: tensors `(num_tasks, images, ...)`."""
    tasks = {"inputs": model.scope.inputs(forward)}
    if forward.targets is not None:
        tasks["targets"] = forward.targets
    return bilevel.split_tasks(tasks, order, model.num_tasks)


def task_loss(model, factors, weights, task, task_index, groups, training):
    """ℓ(T_s; θ, φ), the objective on a task; calibrated if there are `factors`."""
    calibrate = {}
    if factors is not None:
        calibrate[model.calibrated_part] = lambda x: model.calibrator.calibrate(
            factors, x, task_index
        )
    outputs = model.scope.outputs(
        weights, task["inputs"], groups, training, calibrate=calibrate
    )
    return model.objective.local_loss(*outputs, targets=task.get("targets"))
