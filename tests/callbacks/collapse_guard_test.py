import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.callbacks import CollapseGuard
from keras_tc2.transfer.features import geometry
from tests.callbacks.tiny_pretrainer import TinyPretrainer, tiny_views
from tests.test_case import TestCase


def fit(guard, *, model=None, epochs=2, learning_rate=0.0):
    model = model or TinyPretrainer()
    model.compile(optimizer=keras.optimizers.SGD(learning_rate))
    return model.fit(tiny_views(), epochs=epochs, callbacks=[guard], verbose=0).history


class CollapseGuardTest(TestCase):
    def test_healthy_embeddings_are_left_alone(self, recwarn):
        guard = CollapseGuard(tiny_views(), action="stop")
        model = TinyPretrainer()
        # Zero-mean kernels of both signs on centred inputs: directions of every kind.
        model.encoder.layers[-1].bias.assign(
            -tf.reduce_sum(model.encoder.layers[-1].kernel, axis=0) / 2
        )
        history = fit(guard, model=model)
        assert guard.reason is None
        assert len(history["embedding_std"]) == 2 and history["embedding_std"][0] > 0.3
        assert not [w for w in recwarn if "Try" in str(w.message)]

    def test_complete_collapse_stops(self):
        model = TinyPretrainer()
        model.projector.layers[-1].kernel.assign(np.full((4, 3), 1e-6))
        model.projector.layers[-1].bias.assign(np.ones(3))
        guard = CollapseGuard(tiny_views(), action="stop")
        with pytest.warns(UserWarning, match="almost the same.*was stopped"):
            history = fit(guard, model=model, epochs=5)
        assert len(history["loss"]) == 1
        assert history["embedding_std"][0] < 1e-3 and "epoch 1" in guard.reason

    def test_collapse_to_zero_counts(self):
        model = TinyPretrainer()
        for variable in model.projector.trainable_variables:
            variable.assign(tf.zeros_like(variable))
        with pytest.warns(UserWarning, match="almost the same"):
            fit(CollapseGuard(tiny_views()), model=model)

    def test_dimensional_collapse_warns_once(self):
        model = TinyPretrainer()
        kernel = np.zeros((4, 3))
        kernel[:, 0] = [1, -1, 1, -1]
        model.projector.layers[-1].kernel.assign(kernel)
        guard = CollapseGuard(tiny_views(), min_rank=0.5, min_std=0.0)
        with pytest.warns(UserWarning, match="few of their dimensions") as caught:
            history = fit(guard, model=model, epochs=3)
        assert len([w for w in caught if "few of" in str(w.message)]) == 1
        assert len(history["loss"]) == 3
        assert history["embedding_rank"][0] == pytest.approx(1, abs=1e-3)

    def test_one_view(self):
        (views, *_) = tiny_views()
        model = TinyPretrainer()
        guard = CollapseGuard(views[:1])
        history = fit(guard, model=model, epochs=1)
        embeddings = model.projector(model.encoder(views[0]))
        expected = geometry.effective_rank(embeddings.numpy())
        self.assert_close(history["embedding_rank"], [expected], rtol=1e-4)
        self.assert_close(history["alignment"], [0.0], atol=1e-6)

    def test_nan_in_the_embeddings(self):
        model = TinyPretrainer()
        model.encoder.layers[-1].bias.assign(np.full(4, np.nan))
        guard = CollapseGuard(tiny_views(), action="stop")
        with pytest.warns(UserWarning, match="diverged"):
            history = fit(guard, model=model, epochs=4)
        assert len(history["loss"]) == 1 and np.isnan(history["embedding_std"][0])

    def test_without_views_needs_the_logs_of_a_pretrainer(self):
        with pytest.raises(ValueError, match=r"no `embedding_std`.*\['loss'\]"):
            fit(CollapseGuard())

    def test_without_views_reads_the_logs(self):
        guard = CollapseGuard(action="stop")
        guard.set_model(TinyPretrainer())
        guard.on_train_begin()
        guard.on_epoch_end(0, {"loss": 1.0, "embedding_std": float("nan")})
        guard.on_epoch_end(1, {"loss": 1.0, "embedding_std": 0.5})
        assert guard.reason is None
        with pytest.warns(UserWarning, match="relative standard deviation.*0.010"):
            guard.on_epoch_end(2, {"loss": 1.0, "embedding_std": 0.01})
        with pytest.warns(UserWarning, match="loss is nan"):
            guard.on_epoch_end(3, {"loss": float("nan"), "embedding_std": 0.5})
        assert guard.model.stop_training

    def test_does_not_change_training(self):
        weights = []
        for callback in (keras.callbacks.Callback(), CollapseGuard(tiny_views())):
            keras.utils.set_random_seed(1)
            model = TinyPretrainer()
            fit(callback, model=model, learning_rate=0.01)
            weights.append(model.get_weights())
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_errors(self):
        with pytest.raises(ValueError, match="'warn', 'stop'"):
            CollapseGuard(action="raise")
        with pytest.raises(ValueError, match="min_std"):
            CollapseGuard(min_std=2)


class GeometryTest(TestCase):
    def test_relative_std(self):
        sphere = np.random.default_rng(0).normal(size=(20000, 8))
        assert geometry.relative_std(sphere) == pytest.approx(1, abs=0.01)
        assert geometry.relative_std(np.ones((10, 8))) == pytest.approx(0, abs=1e-6)
        # Two opposite directions: std 1 in one of four dimensions, sqrt(4) / 4.
        line = np.zeros((10, 4))
        line[:, 1] = [1, -1] * 5
        assert geometry.relative_std(line) == pytest.approx(0.5)

    def test_effective_rank(self):
        assert geometry.effective_rank(np.eye(7)) == pytest.approx(7)
        assert geometry.effective_rank(np.ones((9, 5))) == pytest.approx(1, abs=1e-4)
        assert geometry.effective_rank(np.zeros((9, 5))) == 1
        values = np.array([3.0, 1.0])
        expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
        assert geometry.effective_rank(np.diag(values)) == pytest.approx(expected)

    def test_alignment_and_uniformity(self):
        first, second = np.eye(3), np.eye(3)[[1, 2, 0]] * 5
        assert geometry.alignment(first, first * 2) == 0
        assert geometry.alignment(first, second) == pytest.approx(2)
        assert geometry.alignment(first, -first) == pytest.approx(4)
        assert geometry.uniformity(first) == pytest.approx(-4)
        assert geometry.uniformity(np.ones((5, 3))) == pytest.approx(0, abs=1e-5)
        assert geometry.uniformity(np.zeros((5, 3))) == 0
        assert geometry.uniformity(np.array([[1.0], [-1.0]])) == pytest.approx(-8)
        generator = np.random.default_rng(0)
        cloud = generator.normal(size=(6, 4))
        unit = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
        potentials = [
            np.exp(-2 * np.sum((unit[i] - unit[j]) ** 2))
            for i in range(6)
            for j in range(i)
        ]
        self.assert_close(geometry.uniformity(cloud), np.log(np.mean(potentials)))
