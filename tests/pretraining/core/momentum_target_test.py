import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.objectives import BYOL, DINO
from keras_tc2.optimizers import MomentumSchedule
from keras_tc2.pretraining import SSLPretrainer
from keras_tc2.pretraining.core import momentum_target
from tests import replicas, tiny
from tests.test_case import TestCase


def pretrainer(objective, **arguments):
    projector = layers.ProjectionHead(4, hidden_dim=5)
    model = SSLPretrainer(
        tiny.encoder(), objective=objective, projector=projector, **arguments
    )
    tiny.move_off_the_start(model.trainable_variables)
    return model


def online(model):
    return [np.array(v) for v in model.trainable_variables]


def averages(model):
    return [np.array(v) for v in model.momentum_target.averages]


class MomentumTargetTest(TestCase):
    def test_averages_follow_applied_updates(self):
        model = pretrainer(DINO(6, momentum=MomentumSchedule(0.5, 4)))
        model.compile(keras.optimizers.SGD(0.5))
        expected = averages(model)
        for step, momentum in enumerate([0.5, 0.5 + 0.5 * (1 - np.sqrt(0.5)) / 2]):
            model.train_on_batch(*tiny.views(seed=step))
            expected = [
                momentum * average + (1 - momentum) * weight
                for average, weight in zip(expected, online(model), strict=True)
            ]
            for actual, value in zip(averages(model), expected, strict=True):
                self.assert_close(actual, value, rtol=1e-5, atol=1e-6)
        assert int(model.updates) == 2

    def test_start_is_a_copy_and_gets_no_gradient(self):
        model = SSLPretrainer(tiny.encoder(), objective=BYOL())
        in_average = [*model.encoder.trainable_variables]
        in_average += model.projector.trainable_variables
        for actual, weight in zip(averages(model), in_average, strict=True):
            np.testing.assert_array_equal(actual, weight)
        trainable = {id(v) for v in model.trainable_variables}
        assert not any(id(v) in trainable for v in model.momentum_target.averages)

    def test_targets_are_those_of_the_averaged_weights(self):
        model = pretrainer(BYOL(batch_normalization=False))
        views = tiny.views()
        forward = model.forward(views, training=True)
        twin = pretrainer(BYOL(batch_normalization=False))
        for variable, average in zip(
            [*twin.encoder.trainable_variables, *twin.projector.trainable_variables],
            averages(model),
            strict=True,
        ):
            variable.assign(average)
        expected = twin(np.concatenate(views), training=True)
        self.assert_close(np.concatenate(forward.targets), expected, atol=1e-5)
        assert np.max(np.abs(forward.embeddings[0] - forward.targets[0])) > 1e-2

    @pytest.mark.parametrize("objective", [BYOL(), DINO(6)])
    def test_skipped_updates_leave_it_alone(self, objective):
        model = pretrainer(objective, nonfinite_patience=5)
        model.compile(keras.optimizers.SGD(0.5))
        view_1, view_2 = tiny.views()
        model.train_on_batch(view_1, view_2)
        before = model.get_weights()
        model.train_on_batch(np.full_like(view_1, np.nan), view_2)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        model.train_on_batch(view_1, view_2)
        assert int(model.updates) == 2

    def test_updates_skipped_by_loss_scaling_leave_it_alone(self):
        model = pretrainer(BYOL(momentum=0.5))
        scaled = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.1), initial_scale=3e38
        )
        model.compile(scaled)
        # The loss does not see the scale of the predictions, so that of the gradient
        # is its inverse.
        kernel = model.head.trainable_variables[-2]
        kernel.assign(1e-4 * kernel)
        before = averages(model), online(model)
        model.train_on_batch(*tiny.views())
        for kept, now in zip(before, (averages(model), online(model)), strict=True):
            for a, b in zip(kept, now, strict=True):
                np.testing.assert_array_equal(a, b)
        assert int(model.updates) == 0

    def test_saves_and_goes_on(self, tmp_path):
        model = pretrainer(DINO(6, momentum=0.5))
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(*tiny.views())
        path = str(tmp_path / "pretrainer.keras")
        model.save(path)
        reloaded = keras.saving.load_model(path)
        assert len(reloaded.weights) == len(model.weights)
        reloaded.compile(keras.optimizers.SGD(0.1))
        for m in (model, reloaded):
            m.train_on_batch(*tiny.views(seed=1))
        for a, b in zip(model.get_weights(), reloaded.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert int(reloaded.updates) == 2
        centre = np.asarray(reloaded.target_normalization.centre)
        assert np.any(centre != 0)

    def test_a_layer_frozen_later_is_its_own_target(self):
        model = pretrainer(BYOL())
        model.encoder.trainable = False
        model.compile(keras.optimizers.SGD(0.1))
        before = averages(model)
        model.train_on_batch(*tiny.views())
        moved = [np.any(a != b) for a, b in zip(before, averages(model), strict=True)]
        assert any(moved)

    def test_what_is_frozen_is_its_own_average(self):
        model = pretrainer(BYOL(momentum=0.5))
        frozen = {id(v) for v in model.encoder.trainable_variables}
        trained = model.projector.trainable_variables
        model.encoder.trainable = False
        model.compile(keras.optimizers.SGD(0.1))
        views = tiny.views()
        before = averages(model)[-len(trained) :]
        for variable in model.encoder.variables:
            variable.assign(variable + 0.1)
        model.train_on_batch(*views)
        target = model.momentum_target
        pairs = list(zip(target._online(), target.averages, strict=True))
        assert [id(v) in frozen for v, _ in pairs].count(True) == len(frozen)
        for variable, average in pairs[: -len(trained)]:
            np.testing.assert_array_equal(average, variable)
        for old, (variable, average) in zip(
            before, pairs[-len(trained) :], strict=True
        ):
            self.assert_close(average, (old + variable) / 2, atol=1e-6)
        model.encoder.trainable = True
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(*views)
        variable, average = pairs[0]
        assert np.any(np.array(variable) != np.array(average))

    @pytest.mark.parametrize("frozen", ["before", "after"])
    def test_a_frozen_encoder_is_saved(self, tmp_path, frozen):
        encoder = tiny.encoder()
        encoder.trainable = frozen == "after"
        model = SSLPretrainer(encoder, objective=BYOL(), projector=None)
        for average in model.momentum_target.averages:
            average.assign(average + 1)
        model.encoder.trainable = False
        model.save(tmp_path / "pretrainer.keras")
        reloaded = keras.saving.load_model(tmp_path / "pretrainer.keras")
        assert not reloaded.encoder.trainable
        for a, b in zip(averages(model), averages(reloaded), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_a_file_of_0_1_with_a_frozen_encoder(self, tmp_path, monkeypatch):
        encoder = tiny.encoder()
        encoder.trainable = False
        with monkeypatch.context() as patch:
            # Its averages were of what was trainable when it was made.
            patch.setattr(
                momentum_target, "learned_variables", lambda x: x.trainable_variables
            )
            model = SSLPretrainer(encoder, objective=BYOL(), projector=None)
            for variable in model.variables:
                variable.assign(variable + 1)
            model.save(tmp_path / "pretrainer.keras")
        views = np.concatenate(tiny.views())
        expected = model.momentum_target(views)
        reloaded = keras.saving.load_model(tmp_path / "pretrainer.keras")
        self.assert_close(reloaded.momentum_target(views), expected, atol=1e-5)
        # The file holds none of the encoder, whose weights they are from now on.
        reloaded.encoder.trainable = True
        self.assert_close(reloaded.momentum_target(views), expected, atol=1e-5)

    def test_is_the_same_on_all_replicas(self):
        strategy = replicas.strategy(2)
        with strategy.scope():
            model = pretrainer(DINO(6, momentum=0.5))
            model.compile(keras.optimizers.SGD(0.5))
        data = (
            tf.data.Dataset.from_tensors(tiny.views())
            .unbatch()
            .batch(8, drop_remainder=True)
        )
        model.fit(data, epochs=2, verbose=0)
        for variable in [
            *model.momentum_target.averages,
            model.target_normalization.centre,
            model.updates,
        ]:
            first, second = strategy.experimental_local_results(variable.value)
            np.testing.assert_array_equal(first, second)
        assert strategy.experimental_local_results(model.updates.value)[0] == 2
