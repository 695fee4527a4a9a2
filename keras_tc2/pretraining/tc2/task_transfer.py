"""What one task of a batch learned, judged on the others, by a pretrainer's parts."""

import keras
from keras import ops

from keras_tc2 import bilevel


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
