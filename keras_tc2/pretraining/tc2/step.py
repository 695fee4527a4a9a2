"""A step of TC², read from top to bottom: from a batch to the losses it is made of.

    views x₁, x₂ → features h, embeddings z → tasks T_1 … T_M → factors V, weights W
    → inner step θ_s → outer loss → L

`TrainingStep.train_step` takes the gradient of L in θ and φ and makes the update.
Symbols are those of `docs/method.md`.
"""

import functools

import keras
from keras import ops

from keras_tc2 import bilevel
from keras_tc2.bilevel.task_assignment import checked_order
from keras_tc2.bilevel.transfer import mean_off_diagonal, pairwise_cosines
from keras_tc2.pretraining.core.forward import call_layers, map_groups


def losses(model, batch, training):
    """Every part of the outer loss, and the embeddings of the first two views.

    Args:
        model: `TC2Pretrainer`.
        batch: `Batch`.
        training: bool.

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
    parts["loss"] = total
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
    """ℓ(batch; θ), of calibrated embeddings if `calibrate_base` says so."""
    outputs = forward.outputs
    if model.calibrate_base:
        parts = getattr(forward, model.calibrated_part)
        outputs = calibrated_outputs(
            parts,
            forward.groups,
            model.scope.layers_after(model.calibrated_part),
            functools.partial(model.calibrator.calibrate, factors),
            bilevel.task_of_each(order, parts[0].shape[0], model.num_tasks),
            training,
        )
    return model.objective(*outputs, targets=forward.targets)


def calibrated_outputs(parts, groups, layers, calibrate, tasks, training):
    """What `Forward.outputs` is, of calibrated features or embeddings.

    The moving statistics of the layers stay those of the uncalibrated ones.

    Args:
        parts: list of tensors `(batch, dim)`, one a view: what is calibrated.
        groups: list of ints, see `map_groups`.
        layers: the built layers from there to the outputs.
        calibrate: callable of a tensor `(views * batch, dim)` and the task of each row.
        tasks: int tensor `(batch,)`, the task of each image.
        training: bool.
    """
    weights = [v.value for layer in layers for v in layer.trainable_variables]

    def outputs(x):
        of_each = ops.concatenate([tasks] * (x.shape[0] // tasks.shape[0]), axis=0)
        return call_layers(layers, weights, calibrate(x, of_each), training=training)

    return map_groups(outputs, parts, groups)


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
    arguments = forward, order, factors, training
    # Evaluation takes no derivative, so there are no activations to save on.
    if model.scope.vectorized or model.logs_cosine or not training:
        transfer = model.transfer.of_each_task(*arguments, **model.inner_loop)
    else:
        optimizer = getattr(model, "optimizer", None)
        transfer = model.transfer.one_by_one(
            *arguments,
            variables=model.trainable_variables,
            scale=optimizer.scale_loss(1.0) if optimizer else 1.0,
            **model.inner_loop,
        )
    found = {
        name: ops.mean(transfer[name])
        for name in ("outer_loss", "inner_loss")
        if name in transfer
    }
    if model.logs_cosine:
        cosines = pairwise_cosines(transfer["inner_gradients"])
        found["task_gradient_cosine"] = mean_off_diagonal(cosines)
    return found


class Transfer:
    """The loss of a task under fast weights, and its transfer to the partners.

    Args:
        scope: one of `SCOPES`, what the inner step adapts.
        calibrator: `TaskCalibrator`, or `None`.
        calibrated_part: `"features"` or `"embeddings"`, what it calibrates.
        objective: `Objective`.
        partners: int array `(num_tasks, num_partners)`.
    """

    def __init__(self, scope, calibrator, calibrated_part, objective, partners):
        self.scope = scope
        self.calibrator = calibrator
        self.calibrated_part = calibrated_part
        self.objective = objective
        self.partners = partners

    def of_each_task(self, forward, image_order, factors, training, **inner_loop):
        """All tasks at once; see `bilevel.transfer_losses`.

        Args:
            forward: `Forward` of the batch.
            image_order: int tensor `(batch,)`, the images sorted by task, or `None`.
            factors: float tensor `(num_factors, dim)`, or `None`.
            training: bool.
            **inner_loop: arguments of `bilevel.adapt`.
        """
        return bilevel.transfer_losses(
            lambda *arguments: self._loss(
                factors, *arguments, forward.groups, training
            ),
            self.scope.weights(),
            self.tasks(forward, image_order),
            self.partners,
            vectorized=self.scope.vectorized,
            **inner_loop,
        )

    def one_by_one(
        self, forward, image_order, factors, training, *, variables, scale, **inner_loop
    ):
        """With the memory of one task; see `bilevel.mean_transfer_losses`.

        For a scope that starts from the views, which need no derivative.

        Args:
            variables: list of all trainable variables, which the loss is
                differentiated by.
            scale: scalar, the loss scale of the optimizer.
        """

        def under(values, function):
            mapping = list(zip(variables, values[: len(variables)], strict=True))
            with keras.StatelessScope(mapping):
                return function()

        def loss(values, *arguments):
            return under(
                values,
                lambda: self._loss(values[-1], *arguments, forward.groups, training),
            )

        return bilevel.mean_transfer_losses(
            loss,
            lambda values: under(values, self.scope.weights),
            [*variables, ops.zeros(()) if factors is None else factors],
            self.tasks(forward, image_order),
            self.partners,
            scale=scale,
            **inner_loop,
        )

    def gradients(self, forward, factors, task, task_index):
        """∇ℓ(T_s; θ, φ) by what the inner step adapts, of a task or a part of it."""
        _, gradients = bilevel.value_and_gradients(
            lambda weights: self._loss(
                factors, weights, task, task_index, forward.groups, True
            ),
            self.scope.weights(),
        )
        return gradients

    def tasks(self, forward, image_order):
        """The batch cut into tasks: tensors `(num_tasks, images, ...)`."""
        tasks = {"inputs": self.scope.inputs(forward)}
        if forward.targets is not None:
            tasks["targets"] = forward.targets
        return bilevel.split_tasks(tasks, image_order, len(self.partners))

    def _loss(self, factors, weights, task, task_index, groups, training):
        """ℓ(T_s; θ, φ), the objective on a task whose embeddings are calibrated."""
        calibrate = {}
        if self.calibrator:
            calibrate[self.calibrated_part] = lambda x: self.calibrator.calibrate(
                factors, x, task_index
            )
        outputs = self.scope.outputs(
            weights, task["inputs"], groups, training, calibrate=calibrate
        )
        return self.objective.local_loss(*outputs, targets=task.get("targets"))
