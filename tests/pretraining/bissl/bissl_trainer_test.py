"""BiSSLTrainer as a whole: phases, objectives, defaults, saving, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, layers, objectives
from keras_tc2.objectives import BYOL, NTXent
from keras_tc2.optimizers import MomentumSchedule
from keras_tc2.pretraining import BiSSLTrainer, SSLPretrainer, TC2Pretrainer
from tests import tiny
from tests.pretraining.bissl.tiny_bissl import (
    NUM_CLASSES,
    SHORT,
    assert_same,
    batch,
    compiled,
    labelled,
    moved,
    trainer,
    values,
)
from tests.test_case import TestCase


class PhasesTest(TestCase):
    def test_order_and_words(self):
        model = compiled(warmup_steps=2, solver="identity")
        phases = model.phases
        assert model.num_steps == 2 + 2 * 3
        assert [int(phases.phase(n)) for n in range(9)] == [0, 0, 1, 1, 2, 1, 1, 2, 1]
        assert phases.describe(1) == "head warm-up 2/2"
        assert phases.describe(3) == "lower 2/2 of alternation 1/2"
        assert phases.describe(7) == "upper 1/1 of alternation 2/2"
        logged = [
            model.train_on_batch(*batch(n), return_dict=True)["phase"]
            for n in range(model.num_steps)
        ]
        assert logged == [0, 0, 1, 1, 2, 1, 1, 2]
        assert int(model.step_count) == 8

    def test_the_progress_bar_tells_the_phase(self, capsys):
        model = compiled(solver="identity")
        data = tf.data.Dataset.from_tensors(batch())
        printed = ""
        # The last line of a bar is always drawn.
        for steps, words in (
            (1, "head warm-up 1/1"),
            (2, "lower 2/2 of alternation 1/2"),
            (1, "upper 1/1 of alternation 1/2"),
        ):
            model.fit(data.repeat(steps), verbose=1)
            printed = capsys.readouterr().out
            assert words in printed
        assert "nan" not in printed and "upper_loss" in printed
        history = model.fit(data.repeat(3), verbose=0).history
        assert np.isnan(history["head_loss"][0]) and history["phase"] == [2]
        assert np.isfinite(history["lower_loss"][0])
        assert set(history) == {
            "cg_residual",
            "embedding_std",
            "encoder_distance",
            "fallbacks",
            "head_loss",
            "lower_loss",
            "phase",
            "skipped_updates",
            "upper_loss",
        }


class ObjectivesTest(TestCase):
    @pytest.mark.parametrize("name", objectives.names())
    def test_an_alternation_of_each(self, name):
        objective = objectives.get(name)
        model = compiled(objective, num_solver_iterations=1, damping=100.0)
        target = model.momentum_target
        for seed in range(4):
            averages = values(target.averages) if target is not None else []
            logs = model.train_on_batch(*batch(seed), return_dict=True)
            if target is not None:
                changed = any(moved(averages, target.averages))
                assert changed == (logs["phase"] == 1)
        assert logs["phase"] == 2 and np.isfinite(logs["upper_loss"])
        assert np.isfinite(logs["cg_residual"]) and logs["skipped_updates"] == 0

    @pytest.mark.parametrize("kind", [SSLPretrainer, TC2Pretrainer])
    def test_takes_over_from_a_pretrainer(self, kind):
        tasks = tiny.WHOLE_TC2 if kind is TC2Pretrainer else {}
        pretrainer = kind(
            tiny.encoder(),
            objective=BYOL(momentum=0.5),
            projector=layers.ProjectionHead(4, hidden_dim=5),
            **tasks,
        )
        pretrainer.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        pretrainer.train_on_batch(*tiny.views())
        model = BiSSLTrainer.from_pretrainer(
            pretrainer, NUM_CLASSES, objective=BYOL(momentum=0.9995), **SHORT
        )
        assert model.encoder is pretrainer.encoder
        assert model.momentum_target is not pretrainer.momentum_target
        assert_same(values(pretrainer.head.variables), model.head.variables)
        assert_same(
            values(pretrainer.momentum_target.averages), model.momentum_target.averages
        )
        assert model.objective.momentum == 0.9995
        assert_same(model.encoder.get_weights(), model.upper_encoder.variables)

    def test_a_momentum_begins_with_the_stage(self):
        def objective():
            return BYOL(momentum=MomentumSchedule(0.5, 2))

        pretrainer = SSLPretrainer(tiny.encoder(), objective=objective())
        pretrainer.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        for seed in range(2):
            pretrainer.train_on_batch(*tiny.views(seed=seed))
        assert float(pretrainer.objective.momentum(pretrainer.updates)) == 1.0
        model = BiSSLTrainer.from_pretrainer(
            pretrainer, NUM_CLASSES, **{**SHORT, "warmup_steps": 0}
        )
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        target = model.momentum_target
        before = values(target.averages)
        model.train_on_batch(*batch())
        for old, average, weight in zip(
            before, target.averages, target._online(), strict=True
        ):
            self.assert_close(average, (old + weight) / 2, atol=1e-6)

    def test_masks_go_on_from_pre_training(self):
        pretrainer = SSLPretrainer(tiny.encoder(), objective="sim_mim")
        pretrainer.updates.assign(7)
        model = BiSSLTrainer.from_pretrainer(pretrainer, NUM_CLASSES, **SHORT)
        assert int(model.updates) == 7

    def test_a_momentum_target_of_an_encoder_that_was_frozen(self):
        encoder = tiny.encoder()
        encoder.trainable = False
        pretrainer = SSLPretrainer(encoder, objective=BYOL())
        encoder.trainable = True
        model = BiSSLTrainer.from_pretrainer(pretrainer, NUM_CLASSES, **SHORT)
        assert_same(
            values(pretrainer.momentum_target.averages), model.momentum_target.averages
        )


class DefaultsTest(TestCase):
    def test_are_the_authors(self):
        model = BiSSLTrainer(tiny.encoder(), None, "nt_xent", NUM_CLASSES)
        model.compile()
        schedule = model.optimizer.learning_rate
        lower = model.optimizer._learning_rate
        assert float(schedule) == 0.0
        self.assert_close(lower(200), 1.0)
        self.assert_close(lower(500 * 20), 0.001)
        assert model.optimizer.l2_weight_decay == 1e-6
        assert model.optimizer.weight_decay is None
        upper = model.upper_optimizer
        self.assert_close(upper._learning_rate(0), model.head_optimizer.learning_rate)
        self.assert_close(upper._learning_rate(500 * 8), 0.0)
        assert upper.momentum == model.head_optimizer.momentum == 0.9
        assert model.num_steps == 400 + 500 * 28


class SavingTest(TestCase):
    def test_config(self):
        rebuilt = self.run_config_test(
            BiSSLTrainer,
            {
                "encoder": tiny.encoder(),
                "projector": layers.ProjectionHead(3),
                "objective": NTXent(0.7),
                "downstream_head": keras.Sequential(
                    [keras.Input((4,)), keras.layers.Dense(5)]
                ),
                "warmup_steps": 3,
                "num_alternations": 4,
                "lower_steps": 5,
                "upper_steps": 6,
                "proximity_weight": 0.1,
                "damping": 2.0,
                "direct_weight": 0.01,
                "solver": "neumann",
                "num_solver_iterations": 3,
                "tolerance": 0.1,
                "per_tensor": True,
                "max_gradient_norm": 1.0,
                "downstream_weight_decay": 0.1,
                "allow_inexact": True,
                "augmentation": [augment.RandomHorizontalFlip(seed=4)],
                "nonfinite_patience": 2,
            },
        )
        assert rebuilt.num_steps == 3 + 4 * 11

    def test_a_saved_trainer_goes_on(self, tmp_path):
        model = compiled(solver="identity", run_eagerly=False)
        for seed in range(2):
            model.train_on_batch(*batch(seed))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert int(loaded.step_count) == 2
        for seed in range(2, 4):
            logs = [
                m.train_on_batch(*batch(seed), return_dict=True)
                for m in (model, loaded)
            ]
        assert logs[0]["phase"] == logs[1]["phase"] == 2
        for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class RegularizerTest(TestCase):
    def test_is_in_the_lower_loss_and_is_saved(self, tmp_path):
        model = trainer(projector=keras.layers.Dense(4, kernel_regularizer="l2"))
        model.compile(run_eagerly=True)
        model.save(tmp_path / "model.keras")
        views, _ = batch()
        losses, _ = model.value_and_gradients(*views)
        kernel = model.projector.kernel
        kernel.regularizer = None
        plain, _ = model.value_and_gradients(*views)
        penalty = 0.01 * np.sum(np.square(kernel))
        self.assert_close(
            losses["lower_loss"], plain["lower_loss"] + penalty, rtol=1e-5
        )
        self.assert_close(losses["loss"], losses["lower_loss"])
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        again, _ = loaded.value_and_gradients(*views)
        self.assert_close(again["loss"], losses["loss"], rtol=1e-5)


class ErrorsTest(TestCase):
    def test_regularizers_of_the_head(self):
        head = keras.layers.Dense(3, kernel_regularizer="l2")
        with pytest.raises(ValueError, match=r"downstream_weight_decay.*kernel"):
            BiSSLTrainer(tiny.encoder(), None, NTXent(), head, **SHORT)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"lower_steps": 0}, "`lower_steps` must be an integer"),
            ({"warmup_steps": -1}, "`warmup_steps` must be an integer"),
            ({"proximity_weight": 0.0}, "`proximity_weight` must be"),
            ({"damping": -1.0}, "`damping` must be"),
            ({"solver": "newton"}, "`solver` must be one of 'conjugate_gradient'"),
            ({"max_gradient_norm": 0}, "`max_gradient_norm` must be"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            trainer(**arguments)

    def test_downstream_head(self):
        with pytest.raises(ValueError, match="`downstream_head` must be an integer"):
            BiSSLTrainer(tiny.encoder(), None, "nt_xent", 1)

    def test_frozen_encoder(self):
        encoder = tiny.encoder()
        encoder.trainable = False
        with pytest.raises(ValueError, match=r"encoder\.trainable = True"):
            trainer(encoder=encoder)

    def test_stock_normalisations(self):
        def encoder():
            return tiny.encoder(normalization=keras.layers.BatchNormalization)

        with pytest.raises(ValueError, match="make_twice_differentiable"):
            trainer(encoder=encoder())
        trainer(encoder=encoder(), solver="finite_difference")
        with pytest.warns(UserWarning, match="second derivative"):
            trainer(encoder=encoder(), allow_inexact=True)

    def test_steps_per_execution(self):
        with pytest.raises(ValueError, match="`steps_per_execution` must be 1"):
            trainer().compile("sgd", steps_per_execution=2)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (tiny.views(), r"tf.data.Dataset.zip\(\(views, labelled\)\)"),
            ((tiny.views(), (labelled()[0], np.eye(6))), "whole class numbers"),
            ((tiny.views(), (labelled()[0][:, 0], labelled()[1])), "labelled images"),
        ],
    )
    def test_data(self, data, message):
        model = compiled()
        with pytest.raises(ValueError, match=message):
            model.train_on_batch(*data)

    def test_labelled_images_that_are_not_finite(self):
        model = compiled(warmup_steps=0, lower_steps=1, solver="identity")
        model.train_on_batch(*batch())
        images, labels = labelled()
        data = tf.data.Dataset.from_tensors((tiny.views(), (images * np.nan, labels)))
        before = values(model.upper_variables)
        with pytest.raises(FloatingPointError, match="`upper_loss` is NaN"):
            model.fit(data, verbose=0)
        assert_same(before, model.upper_variables)
