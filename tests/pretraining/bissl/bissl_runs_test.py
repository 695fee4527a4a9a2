"""Runs of BiSSL on several replicas, and runs that are interrupted."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.callbacks import ResumableCheckpoint
from keras_tc2.objectives import BYOL, NTXent, VICReg
from keras_tc2.pretraining import BiSSLTrainer
from tests import replicas, tiny
from tests.pretraining.bissl.tiny_bissl import batch, compiled, trainer, values
from tests.test_case import TestCase


def dataset(steps, dtype="float32"):
    """Another batch a step: eight pairs of views, six labelled images."""
    batches = [batch(seed, dtype) for seed in range(steps)]
    return tf.data.Dataset.from_tensor_slices(
        keras.tree.map_structure(lambda *parts: np.stack(parts), *batches)
    )


class ReplicasTest(TestCase):
    """With global negatives and statistics, two replicas are one device."""

    @pytest.mark.parametrize(
        ("objective", "arguments"),
        [
            (NTXent(0.5, gather=True), {"batch_normalization": False}),
            pytest.param(
                NTXent(0.5, gather=True),
                {"damping": 60.0, "num_solver_iterations": 3},
                marks=pytest.mark.slow(reason="traces many passes on two replicas"),
            ),
            pytest.param(
                VICReg(gather=True),
                {
                    "damping": 1e-3,
                    "solver": "finite_difference",
                    "max_gradient_norm": 0.1,
                    "downstream_weight_decay": 0.1,
                },
                marks=pytest.mark.slow(reason="traces many passes on two replicas"),
            ),
            pytest.param(
                BYOL(momentum=0.5),
                {"damping": 60.0, "solver": "neumann"},
                marks=pytest.mark.slow(reason="traces many passes on two replicas"),
            ),
        ],
    )
    def test_every_phase(self, float64, objective, arguments):
        arguments = {"damping": 60.0, "num_solver_iterations": 1, **arguments}
        normalised = arguments.pop("batch_normalization", True)

        def build():
            normalization = layers.BatchNormalization
            if not normalised:
                normalization = functools.partial(keras.layers.Activation, "linear")
            projector = layers.ProjectionHead(
                4, hidden_dim=5, batch_normalization=normalised, synchronized=True
            )
            model = trainer(
                objective,
                encoder=layers.synchronize(tiny.encoder(normalization)),
                projector=projector,
                **arguments,
            )
            if model.head is not None:
                layers.synchronize(model.head)
            return model

        def compile_(model):
            model.compile(
                keras.optimizers.SGD(0.05, momentum=0.9),
                upper_optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
                head_optimizer=keras.optimizers.SGD(0.05),
            )

        one = build()
        tiny.move_off_the_start(one.trainable_variables)
        strategy = replicas.strategy(2)
        with strategy.scope():
            many = build()
            compile_(many)
        many.set_weights(one.get_weights())
        compile_(one)
        data = dataset(4, "float64")
        expected = one.fit(data, verbose=0).history
        actual = many.fit(data, verbose=0).history
        assert actual.keys() == expected.keys()
        for name in expected:
            self.assert_close(actual[name], expected[name], rtol=1e-5)
        for a, b in zip(many.get_weights(), one.get_weights(), strict=True):
            self.assert_close(a, b, rtol=1e-6, atol=1e-8)
        assert expected["phase"] == [2] and np.isfinite(expected["upper_loss"][0])


class Stop(Exception):
    """What a test ends a run with."""


class StopAfter(keras.callbacks.Callback):
    """Ends the run once so many steps of this process are done."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise Stop


class ResumeTest(TestCase):
    def test_a_count_that_a_callback_restores(self):
        run = compiled(solver="identity", warmup_steps=2)

        def restore(logs):
            run.step_count.assign(3)

        first = keras.callbacks.LambdaCallback(on_train_begin=restore)
        phases = []
        see = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda _, logs: phases.append(logs["phase"])
        )
        run.fit(dataset(4), verbose=0, callbacks=[first, see])
        assert phases == [run.phases.phase(n) for n in (3, 4, 5, 6)]
        assert 0 not in phases

    def test_in_every_phase(self, tmp_path):
        def model():
            keras.utils.set_random_seed(1)
            projector = keras.Sequential(
                [
                    keras.Input((4,)),
                    layers.ProjectionHead(4, hidden_dim=5),
                    keras.layers.Dropout(0.1, seed=2),
                ]
            )
            return compiled(
                BYOL(momentum=0.5),
                projector=projector,
                solver="identity",
                warmup_steps=2,
            )

        def train(folder, *callbacks):
            run = model()
            checkpoint = ResumableCheckpoint(folder, every_steps=1)
            run.fit(
                dataset(4),
                epochs=2,
                verbose=0,
                callbacks=[checkpoint, *callbacks],
            )
            return run

        whole = train(tmp_path / "whole")
        assert int(whole.step_count) == 8
        phases = whole.phases
        assert {phases.phase(n) for n in (1, 3, 4)} == {0, 1, 2}
        for stop in (1, 3, 4):
            folder = tmp_path / str(stop)
            with pytest.raises(Stop):
                train(folder, StopAfter(stop))
            assert ResumableCheckpoint(folder).newest().name == f"step_{stop:010d}.npz"
            resumed = train(folder)
            assert int(resumed.step_count) == 8
            for a, b in zip(values(whole.variables), resumed.variables, strict=True):
                np.testing.assert_array_equal(a, b)
            for name in ("optimizer", "upper_optimizer", "head_optimizer"):
                for a, b in zip(
                    getattr(whole, name).variables,
                    getattr(resumed, name).variables,
                    strict=True,
                ):
                    np.testing.assert_array_equal(a, b)
            np.testing.assert_equal(resumed.history.history, whole.history.history)

    def test_a_run_from_before_labelled_images_were_looked_at(
        self, tmp_path, monkeypatch
    ):
        checkpoint = ResumableCheckpoint(tmp_path, every_steps=1)
        with monkeypatch.context() as patch:
            patch.setattr(BiSSLTrainer, "with_labelled_images", False)
            patch.setattr(BiSSLTrainer, "_look_at_labelled", lambda *_: True)
            with pytest.raises(Stop):
                compiled().fit(
                    dataset(4), verbose=0, callbacks=[checkpoint, StopAfter(2)]
                )
        model = compiled()
        model.fit(dataset(4), verbose=0, callbacks=[checkpoint])
        assert int(model.step_count) == 4
