"""Objectives of any scale, and what `fit` says of an inner step that does harm."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import TC2Pretrainer, objectives
from keras_tc2.pretraining.core.growth import WarnOfGrowth
from tests import tiny
from tests.test_case import TestCase


class Spread(objectives.Objective):
    """An objective of a guest, agreement and a variance of 1, times a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def compute_loss(self, embeddings_1, embeddings_2):
        centred = embeddings_1 - keras.ops.mean(embeddings_1, axis=0)
        agreement = keras.ops.mean(keras.ops.square(embeddings_1 - embeddings_2))
        variance = keras.ops.mean(keras.ops.square(centred))
        return self.factor * (agreement + keras.ops.square(variance - 1))


def pretrainer(objective, **arguments):
    keras.utils.set_random_seed(0)
    model = TC2Pretrainer(
        tiny.encoder(),
        objective=objective,
        **{
            "num_tasks": 2,
            "num_inner_steps": 1,
            "calibration": "none",
            "task_assignment": "blocks",
            **arguments,
        },
    )
    model.compile(keras.optimizers.SGD(0.0))
    return model


def fit(model, steps=3):
    data = tf.data.Dataset.from_tensors(tiny.views()).repeat(steps)
    return model.fit(data, verbose=0).history


def said(logs, steps=20):
    """What is said of an epoch with the same logs at every step."""
    watcher = WarnOfGrowth()
    watcher.on_train_begin()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(steps):
            watcher.on_train_batch_end(step, logs)
    return [str(warning.message) for warning in caught]


class ScaleTest(TestCase):
    @pytest.mark.parametrize("factor", [0.01, 1, 1000])
    def test_the_default_step_is_bounded_whatever_the_scale(self, factor, recwarn):
        history = fit(pretrainer(Spread(factor)))
        inner, outer = (history[f"{name}_loss"][0] for name in ("inner", "outer"))
        assert abs(outer - inner) < 0.5 * factor
        assert not [w for w in recwarn if "inner step" in str(w.message)]

    def test_without_a_bound_it_does_harm_and_is_said_once(self):
        model = pretrainer(Spread(1000), inner_clipnorm=None)
        with pytest.warns(UserWarning, match="inner step does harm") as caught:
            history = fit(model)
        assert len([w for w in caught if "does harm" in str(w.message)]) == 1
        assert history["outer_loss"][0] > 100 * abs(history["inner_loss"][0])

    @pytest.mark.parametrize("name", objectives.names())
    def test_every_objective_keeps_its_scale(self, name):
        model = pretrainer(name)
        losses, _ = model.value_and_gradients(*tiny.views())
        inner, outer = float(losses["inner_loss"]), float(losses["outer_loss"])
        assert outer - inner < max(abs(inner), 0.2)


class SentencesTest(TestCase):
    def test_each_is_said_once_and_not_of_a_healthy_run(self):
        assert said({"loss": 1.0}) == []
        healthy = {"inner_loss": 3.0, "outer_loss": 3.5, "reconstruction": 1.1}
        assert said(healthy) == []
        # The mean of a few steps is noise.
        grown = {"inner_loss": -1.2, "outer_loss": 8.8, "reconstruction": 22.0}
        assert said(grown, steps=9) == []
        step, factors = said(grown)
        assert "-1.2 before it and 8.8" in step and "`num_inner_steps=0`" in step
        assert "reconstruction is 22" in factors and "learning rate" in factors

    def test_a_loss_near_zero_is_no_alarm(self):
        watcher = WarnOfGrowth()
        watcher.on_train_begin()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            watcher.on_epoch_end(0, {"inner_loss": -0.4, "outer_loss": -0.3})
            watcher.on_epoch_end(1, {"inner_loss": 0.0, "outer_loss": 0.2})

    def test_fit_says_it_of_factors(self):
        model = pretrainer("nt_xent", calibration="residual", num_factors=3)
        # Three times the same factor.
        queries = model.factor_extractor.queries
        queries.assign(np.tile(np.asarray(queries)[:1], (3, 1)))
        embeddings = np.asarray(queries)[:1]
        bias = model.projector.blocks[-1].bias
        bias.assign(50 * embeddings[0])
        with pytest.warns(UserWarning, match="factors have diverged"):
            fit(model, steps=1)
