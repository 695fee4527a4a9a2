"""What the tasks of a batch do to one another, as a training step would see it."""

import keras
from keras import ops

from keras_tc2 import bilevel
from keras_tc2.pretraining.task_transfer import Transfer


def diagnose(model, views, task_ids):
    """See `TC2Pretrainer.diagnose`."""
    with keras.StatelessScope():
        forward = model.forward(views, training=True)
        order = model._order(forward.features, task_ids)
        embeddings = ops.concatenate(forward.embeddings, axis=0)
        factors = model.calibrator and model.calibrator.factors(embeddings)

        def of_each_task(transfer, factors, num_steps):
            """Values alone are of interest, so first order does."""
            inner_loop = {**model._inner_loop, "num_steps": num_steps, "order": 1}
            return transfer.of_each_task(
                forward, order, factors, training=True, **inner_loop
            )

        # Gradients and inner losses are those before the first step.
        tasks = of_each_task(model._transfer, factors, max(1, model.num_inner_steps))
        found = {"gradient_cosines": bilevel.pairwise_cosines(tasks["inner_gradients"])}
        if model.num_inner_steps and model.transfer_weight:
            gaps = tasks["outer_loss"] - tasks["inner_loss"]
            found["transfer_gap"] = ops.mean(gaps)
        if model.calibrator:
            plain = Transfer(model._scope, None, model.objective, model.partners)
            uncalibrated = of_each_task(plain, None, 1)
            weights = model._weights(factors, embeddings, order, len(views))
            regularisers = model.calibrator.regularisers(factors, embeddings, weights)
            found |= {
                "weights": weights,
                "reconstruction": regularisers["reconstruction"],
                "calibration_gain": ops.mean(
                    uncalibrated["inner_loss"] - tasks["inner_loss"]
                ),
            }
    return found
