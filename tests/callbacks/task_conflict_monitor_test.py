import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2.callbacks import TaskConflictMonitor
from keras_tc2.callbacks.task_conflict_monitor import NAMES, weight_statistics
from tests.callbacks.tiny_pretrainer import TinyPretrainer, tiny_views
from tests.test_case import TestCase


def pretrainer(**options):
    encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=(4, 8))
    model = tc2.TC2Pretrainer(
        encoder,
        **{
            "objective": "nt_xent",
            "num_factors": 6,
            **tc2.recipes.full_method(),
            **options,
        },
    )
    model.compile(optimizer=keras.optimizers.SGD(0.05))
    return model


def measured(model):
    """The monitor of a model that is not trained, and what it measured."""
    monitor = TaskConflictMonitor(tiny_views(size=8, number=64))
    monitor.set_model(model)
    monitor.on_train_begin()
    return monitor, monitor.measure()


def randomized(model):
    """Weights W that are not zero, as they are after some training."""
    generator = np.random.default_rng(0)
    for variable in model.calibrator.trainable_variables:
        noise = generator.normal(size=variable.shape) * 0.3
        variable.assign_add(noise.astype("float32"))
    return model


class TaskConflictMonitorTest(TestCase):
    def test_everything_reaches_the_history(self):
        model, views = pretrainer(), tiny_views(size=8)
        monitor = TaskConflictMonitor(views, every_epochs=3)
        history = model.fit(views, epochs=3, callbacks=[monitor], verbose=0).history
        # Of two batches it may be undefined.
        for name in set(NAMES) - {"conflict_cosine"}:
            finite = np.isfinite(history[name])
            np.testing.assert_array_equal(finite, [True, False, True])
        figure, caption = monitor.pictures[0]
        assert "after epoch 3" in figure.axes[0].get_title()
        assert str(monitor.conflict) in caption and len(figure.axes[1].texts) == 16
        assert figure.axes[2].get_ylabel() == "cosine of expected gradients"

    def test_equals_the_model_s_own_numbers(self):
        model = randomized(pretrainer())
        _, values = measured(model)
        batches = list(tiny_views(size=8, number=64))
        found = model.conflict(batches)
        assert values["conflict_cosine"] == found.mean
        assert (values["conflict_low"], values["conflict_high"]) == found.interval
        assert values["between_task_cosine"] == found.between
        assert values["within_task_cosine"] == found.within
        batch = batches[0]
        losses, _ = model.value_and_gradients(*batch)
        gap = float(losses["outer_loss"] - losses["inner_loss"])
        self.assert_close(values["transfer_gap"], gap, rtol=1e-3, atol=1e-4)
        self.assert_close(
            values["reconstruction_error"], losses["reconstruction"], rtol=1e-3
        )
        plain = pretrainer(calibration="none")
        plain.encoder.set_weights(model.encoder.get_weights())
        plain.projector.set_weights(model.projector.get_weights())
        uncalibrated, _ = plain.value_and_gradients(*batch)
        gain = float(uncalibrated["inner_loss"] - losses["inner_loss"])
        self.assert_close(values["calibration_gain"], gain, atol=1e-4)
        assert abs(gain) > 1e-3

    @pytest.mark.parametrize("objective", tc2.objectives.names())
    def test_every_objective(self, objective):
        _, values = measured(pretrainer(objective=objective))
        assert set(values) == set(NAMES) and np.all(np.isfinite(list(values.values())))

    def test_leaves_no_trace(self):
        model = pretrainer()
        before = [np.array(variable) for variable in model.variables]
        measured(model)
        for old, variable in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, np.array(variable))

    def test_without_calibration_or_inner_step(self):
        plain = measured(pretrainer(calibration="none"))[1]
        assert "conflict_cosine" in plain and "factor_usage" not in plain
        tasks = measured(pretrainer(num_inner_steps=0))[1]
        assert "factor_usage" in tasks and "transfer_gap" not in tasks
        assert "conflict_cosine" in tasks

    def test_one_batch_does_not_tell_of_conflict(self):
        monitor = TaskConflictMonitor(next(iter(tiny_views(size=8, number=64))))
        monitor.set_model(pretrainer())
        monitor.on_train_begin()
        measured = monitor.measure()
        assert "conflict_cosine" not in measured and "transfer_gap" in measured
        assert monitor.conflict is None

    def test_calibration_starts_as_the_identity(self):
        values = measured(pretrainer())[1]
        assert values["calibration_gain"] == pytest.approx(0, abs=1e-5)
        assert values["factor_usage"] == 0 and values["weight_sparsity"] == 1

    def test_clusters_are_tasks_too(self):
        values = measured(randomized(pretrainer(task_assignment="cluster")))[1]
        assert abs(values["calibration_gain"]) > 1e-4

    def test_clusters_have_no_matrix(self):
        model = pretrainer(task_assignment="cluster")
        monitor = TaskConflictMonitor(tiny_views(size=8, batch_size=16))
        model.fit(monitor.views, callbacks=[monitor], verbose=0)
        assert monitor.conflict.cosines is None
        assert len(monitor.pictures[0][0].axes) == 1

    def test_clusters_of_too_few_images_are_refused_before_training(self):
        model = pretrainer(task_assignment="cluster")
        views = tiny_views(size=8, batch_size=8)
        before = model.get_weights()
        with pytest.raises(ValueError, match="at least four images a task"):
            model.fit(views, callbacks=[TaskConflictMonitor(views)], verbose=0)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_needs_tasks(self):
        model = TinyPretrainer()
        model.compile(optimizer="sgd")
        with pytest.raises(ValueError, match="needs a TC2Pretrainer"):
            model.fit(tiny_views(), callbacks=[TaskConflictMonitor(tiny_views())])


class WeightStatisticsTest(TestCase):
    def test_one_factor_or_all(self):
        single = np.zeros((10, 8))
        single[:, 3] = -2.0
        assert weight_statistics(single) == {
            "factor_usage": 1 / 8,
            "weight_entropy": pytest.approx(0, abs=1e-9),
            "weight_sparsity": 7 / 8,
        }
        even = weight_statistics(np.ones((10, 8)))
        assert even["factor_usage"] == 1 and even["weight_sparsity"] == 0
        assert even["weight_entropy"] == pytest.approx(1)

    def test_two_of_four(self):
        weights = np.tile([1.0, -1.0, 0.0, 0.0], (5, 1))
        assert weight_statistics(weights)["weight_entropy"] == pytest.approx(0.5)
