"""Every documented argument of `compile` and `fit`: taken, or refused by name."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.objectives import BYOL
from keras_tc2.pretraining import SSLPretrainer
from tests import tiny
from tests.test_case import TestCase


def pretrainer(objective="nt_xent", **compiled):
    model = SSLPretrainer(
        tiny.encoder(),
        objective=objective,
        projector=layers.ProjectionHead(4, hidden_dim=5),
    )
    model.compile(**{"optimizer": keras.optimizers.SGD(0.05), **compiled})
    return model


def views(steps=2):
    batches = [tiny.views(8, seed) for seed in range(steps)]
    parts = tuple(np.stack(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices(parts)


class CompileTest(TestCase):
    @pytest.mark.parametrize(
        "arguments",
        [
            {"optimizer": "adam"},
            {"metrics": [keras.metrics.CosineSimilarity()]},
            {"run_eagerly": True},
            {"steps_per_execution": 2},
            {"auto_scale_loss": False},
            {"loss": None, "loss_weights": None, "weighted_metrics": None},
        ],
        ids=lambda arguments: next(iter(arguments)),
    )
    def test_takes(self, arguments):
        model = pretrainer(**arguments)
        before = model.get_weights()
        history = model.fit(views(), verbose=0).history
        assert np.isfinite(history["loss"]) and history["skipped_updates"] == [0]
        assert any(
            np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True)
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"loss": "mse"}, "takes no `loss`"),
            ({"loss_weights": [1.0]}, "takes no `loss_weights`"),
            ({"weighted_metrics": ["mse"]}, "takes no `weighted_metrics`"),
            ({"steps_per_execution": "auto"}, 'has no "auto"'),
            ({"steps_per_execution": 0}, "whole number"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            pretrainer(**arguments)


class FitTest(TestCase):
    def test_takes(self):
        model = pretrainer(run_eagerly=True)
        history = model.fit(
            x=views(),
            y=None,
            batch_size=None,
            epochs=2,
            verbose=0,
            callbacks=None,
            validation_split=0.0,
            validation_data=views(1),
            shuffle=True,
            class_weight=None,
            sample_weight=None,
            initial_epoch=1,
            steps_per_epoch=1,
            validation_steps=1,
            validation_batch_size=None,
            validation_freq=1,
        ).history
        assert len(history["loss"]) == len(history["val_loss"]) == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"x": None}, "needs batches of views"),
            ({"sample_weight": np.ones(8)}, "takes no `sample_weight`"),
            ({"class_weight": {0: 1.0}}, "takes no `class_weight`"),
            ({"validation_split": 0.2}, "takes no `validation_split`"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            pretrainer().fit(**{"x": views(), **arguments})


class GeneratorTest(TestCase):
    """Of a generator Keras keeps no batch size; what the error says gives it one."""

    @pytest.mark.parametrize("kind", ["generator", "PyDataset"])
    def test_is_told_what_to_do(self, kind):
        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 2

            def __getitem__(self, index):
                return tiny.views(8, index)

        def generator():
            yield from (tiny.views(8, seed) for seed in range(2))

        model = pretrainer()
        given = generator() if kind == "generator" else Batches()
        with pytest.raises(ValueError, match="from_generator") as found:
            model.fit(given, verbose=0)
        view = eval(re.search(r"`view = (.*?)`", str(found.value))[1], {"tf": tf})
        dataset = tf.data.Dataset.from_generator(
            generator, output_signature=(view, view)
        )
        model.fit(dataset, verbose=0)
        assert int(model.optimizer.iterations) == 2


class AccumulationTest(TestCase):
    @pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
    def test_averages_follow_the_optimizer(self, policy):
        """In half precision, some of the first batches also overflow."""
        keras.config.set_dtype_policy(policy)
        optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=3)
        model = pretrainer(BYOL(momentum=0.5), optimizer=optimizer)

        def step(seed):
            parts = [model.trainable_variables, model.momentum_target.averages]
            before = [[v.numpy() for v in part] for part in parts]
            model.train_on_batch(*tiny.views(8, seed))
            return [
                any(np.any(a != b.numpy()) for a, b in zip(old, part, strict=True))
                for old, part in zip(before, parts, strict=True)
            ]

        trained, averaged = zip(*(step(seed) for seed in range(8)), strict=True)
        assert averaged == trained
        assert int(model.updates) == sum(trained) == 2
