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
        inner_loop = model._inner_loop

        def of_each_task(transfer, factors, **inner_loop):
            return transfer.of_each_task(
                forward, order, factors, training=True, **inner_loop
            )

        # The first gradients and losses are the same whatever comes after.
        once = {**inner_loop, "num_steps": 1, "order": 1}
        tasks = of_each_task(model._transfer, factors, **once)
        found = {"gradient_cosines": bilevel.pairwise_cosines(tasks["inner_gradients"])}
        if model.num_inner_steps and model.transfer_weight:
            adapted = of_each_task(
                model._transfer, factors, **{**inner_loop, "order": 1}
            )
            found["transfer_gap"] = ops.mean(
                adapted["outer_loss"] - adapted["inner_loss"]
            )
        if model.calibrator:
            plain = Transfer(model._scope, None, model.objective, model.partners)
            uncalibrated = of_each_task(plain, None, **once)
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
