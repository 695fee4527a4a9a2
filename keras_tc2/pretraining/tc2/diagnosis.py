"""What the tasks of a batch do to one another, as a training step would see it."""

import itertools
import operator

import keras
from keras import ops

from keras_tc2 import bilevel
from keras_tc2.bilevel.transfer import pairwise_cosines
from keras_tc2.pretraining.core.batch import as_tensors
from keras_tc2.pretraining.core.run_data import without_a_trace
from keras_tc2.pretraining.tc2 import step


def diagnose(model, batch):
    """See `TC2Pretrainer.diagnose`."""
    views, task_ids = _checked(model, batch)
    with keras.StatelessScope():
        forward = model.forward(views, training=True)
        order = step.sorted_by_task(model, forward, task_ids)
        calibrated = step.to_calibrate(model, forward)
        factors = model.calibrator and model.calibrator.factors(calibrated)

        def of_each_task(factors, num_steps):
            """Values alone are of interest, so first order does."""
            inner_loop = {**model.inner_loop, "num_steps": num_steps, "order": 1}
            return step.of_each_task(
                model, forward, order, factors, training=True, **inner_loop
            )

        # Gradients and inner losses are those before the first step.
        tasks = of_each_task(factors, max(1, model.num_inner_steps))
        found = {"gradient_cosines": pairwise_cosines(tasks["inner_gradients"])}
        if model.num_inner_steps and model.transfer_weight:
            gaps = tasks["outer_loss"] - tasks["inner_loss"]
            found["transfer_gap"] = ops.mean(gaps)
        if model.calibrator:
            uncalibrated = of_each_task(None, 1)
            weights = step.weights_of(model, factors, calibrated, order, len(views))
            regularizers = model.calibrator.regularizers(factors, calibrated, weights)
            found |= {
                "weights": weights,
                "reconstruction": regularizers["reconstruction"],
                "calibration_gain": ops.mean(
                    uncalibrated["inner_loss"] - tasks["inner_loss"]
                ),
            }
    return found


def conflict(model, batches, **options):
    """See `TC2Pretrainer.conflict`."""
    same_tasks = model.task_assignment.same_tasks
    gradients = []
    for batch in without_a_trace(batches):
        views, task_ids = checked_for_conflict(model, batch)
        gradients.append(_gradients(model, views, task_ids, 2 - same_tasks))
    return bilevel.TaskConflict(gradients, same_tasks=same_tasks, **options)


def checked_for_conflict(model, batch):
    """The `Batch` of what was given, if conflict can be measured on it."""
    batch = _checked(model, batch)
    task_size = len(batch.views[0]) // model.num_tasks
    _check_halves(task_size, model.task_assignment.same_tasks)
    return batch


def _checked(model, batch):
    """The `Batch` of what was given, if the model takes such."""
    batch = model.batch_of(as_tensors(batch))
    model.check_batch(batch)
    return batch


def _check_halves(task_size, same_tasks):
    if same_tasks or task_size >= 4:
        return
    raise ValueError(
        "Tasks that differ from batch to batch are compared by halves of two images "
        "or more, so conflict is measured on batches with at least four images a task. "
        f"Received: {task_size} a task"
    )


def _gradients(model, views, task_ids, halves):
    """The inner gradients of every half of every task, `(halves, num_tasks, size)`."""
    with keras.StatelessScope():
        forward = model.forward(views, training=True)
        order = step.sorted_by_task(model, forward, task_ids)
        factors = model.calibrator and model.calibrator.factors(
            step.to_calibrate(model, forward)
        )
        tasks = step.split(model, forward, order)
        size = len(views[0]) // model.num_tasks // halves
        found = []
        for half, s in itertools.product(range(halves), range(model.num_tasks)):
            # Every other image: a rule may sort a task's images by how typical.
            images = slice(half, half + size * halves, halves)
            part = keras.tree.map_structure(operator.itemgetter((s, images)), tasks)
            _, gradients = bilevel.value_and_gradients(
                lambda weights, part=part, s=s: step.task_loss(
                    model, factors, weights, part, s, forward.groups, True
                ),
                model.scope.weights(),
            )
            found.append(gradients)
    flat = [
        ops.concatenate([ops.reshape(g, -1) for g in gradients]) for gradients in found
    ]
    flat = ops.convert_to_numpy(ops.stack(flat))
    return flat.reshape(halves, model.num_tasks, -1)
