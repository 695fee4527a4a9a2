"""`fit` and its surroundings, on both pretrainers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import tiny
from tests.test_case import TestCase

PRETRAINERS = {"ssl": SSLPretrainer, "tc2": TC2Pretrainer}
both = pytest.mark.parametrize("kind", list(PRETRAINERS))


def pretrainer(kind, **arguments):
    if kind == "tc2":
        arguments = {**tiny.WHOLE_TC2, **arguments}
    return PRETRAINERS[kind](
        tiny.encoder(),
        objective="nt_xent",
        projector=layers.ProjectionHead(4, hidden_dim=5),
        **arguments,
    )


def dataset(steps=3, batch_size=8, poison=None):
    batches = [tiny.views(batch_size, seed=step) for step in range(steps)]
    view_1, view_2 = (np.stack(part) for part in zip(*batches, strict=True))
    if poison is not None:
        view_1[poison, 0] = np.nan
    return tf.data.Dataset.from_tensor_slices((view_1, view_2))


def layer_of(encoder, name):
    return encoder.network.get_layer("tiny").get_layer(name)


class RegularizerTest(TestCase):
    @both
    def test_weights(self, kind):
        model = pretrainer(kind)
        kernel = layer_of(model.encoder, "conv").kernel
        frozen = layer_of(model.encoder, "features").kernel
        frozen.regularizer = keras.regularizers.L2(0.3)
        layer_of(model.encoder, "features").trainable = False
        before = model.value_and_gradients(*tiny.views())
        kernel.regularizer = keras.regularizers.L2(0.2)
        losses, gradients = model.value_and_gradients(*tiny.views())
        penalty = 0.2 * np.sum(np.square(kernel))
        assert penalty > 0.01
        self.assert_close(losses["loss"], before[0]["loss"] + penalty, rtol=1e-5)
        for variable, new, old in zip(
            model.trainable_variables, gradients, before[1], strict=True
        ):
            added = 0.4 * np.asarray(kernel) if variable is kernel else 0.0
            self.assert_close(new, old + added, rtol=1e-4, atol=1e-6)

    def test_is_in_the_loss_that_is_logged(self):
        model = pretrainer("ssl")
        kernel = layer_of(model.encoder, "conv").kernel
        model.compile(keras.optimizers.SGD(0.0))
        plain = model.evaluate(dataset(), verbose=0, return_dict=True)["loss"]
        kernel.regularizer = keras.regularizers.L2(0.2)
        model.compile(keras.optimizers.SGD(0.0))
        found = model.evaluate(dataset(), verbose=0, return_dict=True)["loss"]
        self.assert_close(found - plain, 0.2 * np.sum(np.square(kernel)), rtol=1e-3)

    def test_of_an_activity_is_refused(self):
        projector = keras.Sequential([keras.layers.Dense(4, activity_regularizer="l2")])
        with pytest.raises(ValueError, match=r"none of activities.*dense"):
            SSLPretrainer(tiny.encoder(), objective="nt_xent", projector=projector)


class FitTest(TestCase):
    def test_a_list_of_callbacks_of_keras(self):
        model = pretrainer("ssl", nonfinite_patience=0)
        model.compile("sgd")
        seen = []
        own = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(1))
        given = keras.callbacks.CallbackList([own], model=model, epochs=2, steps=3)
        history = model.fit(dataset(), epochs=2, callbacks=given, verbose=0).history
        assert len(history["loss"]) == 2 and seen == [1, 1]
        with pytest.raises(FloatingPointError):
            model.fit(dataset(poison=1), callbacks=given, verbose=0)

    @both
    def test_logs_means_over_the_epoch_and_trains(self, kind):
        model = pretrainer(kind)
        model.compile(
            keras.optimizers.Adam(0.01), metrics=[keras.metrics.CosineSimilarity()]
        )
        history = model.fit(dataset(), epochs=5, verbose=0).history
        own = {"embedding_std", "skipped_updates", "cosine_similarity"}
        assert set(history) == own | set(model.loss_names)
        assert history["loss"][-1] < history["loss"][0]
        assert history["skipped_updates"] == [0] * 5
        assert -1 <= history["cosine_similarity"][0] <= 1

    @both
    def test_loss_of_an_epoch_is_the_mean_of_its_batches(self, kind):
        model = pretrainer(kind)
        model.compile(keras.optimizers.SGD(0.0))
        values = [
            float(model.value_and_gradients(*batch)[0]["loss"]) for batch in dataset()
        ]
        history = model.fit(dataset(), verbose=0).history
        self.assert_close(history["loss"], [np.mean(values)], rtol=1e-5)

    @both
    def test_same_seed_same_weights(self, kind):
        weights = []
        for _ in range(2):
            keras.utils.set_random_seed(5)
            model = pretrainer(kind)
            model.compile(keras.optimizers.Adam(0.01))
            model.fit(dataset(), epochs=2, verbose=0)
            weights.append(model.get_weights())
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)

    @both
    @pytest.mark.parametrize(
        "arguments",
        [
            {"run_eagerly": True},
            # XLA takes most of a minute for the smallest of models on a CPU.
            pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
        ],
    )
    def test_ways_to_run_agree(self, kind, arguments):
        keras.utils.set_random_seed(5)
        model, twin = pretrainer(kind), pretrainer(kind)
        twin.set_weights(model.get_weights())
        model.compile(keras.optimizers.SGD(0.05))
        twin.compile(keras.optimizers.SGD(0.05), **arguments)
        expected = model.fit(dataset(), verbose=0).history
        actual = twin.fit(dataset(), verbose=0).history
        for name, values in expected.items():
            self.assert_close(actual[name], values, rtol=1e-3, atol=1e-4)

    @both
    def test_steps_per_execution_and_per_epoch(self, kind):
        model = pretrainer(kind)
        model.compile("sgd", steps_per_execution=2)
        history = model.fit(
            dataset().repeat(), steps_per_epoch=4, epochs=2, verbose=0
        ).history
        assert len(history["loss"]) == 2
        assert model.optimizer.iterations == 8

    @both
    def test_validation_and_evaluate_update_nothing(self, kind):
        model = pretrainer(kind)
        model.compile("sgd")
        before = model.get_weights()
        results = model.evaluate(dataset(), verbose=0, return_dict=True)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert set(model.loss_names) <= set(results)
        history = model.fit(dataset(), validation_data=dataset(1), verbose=0).history
        assert {f"val_{name}" for name in model.loss_names} <= set(history)

    @both
    def test_predict_gives_embeddings(self, kind):
        model = pretrainer(kind)
        embeddings = model.predict(tiny.views()[0], verbose=0)
        assert embeddings.shape == (8, 4)

    @both
    def test_arrays_of_views_train_too(self, kind):
        model = pretrainer(kind)
        model.compile("sgd")
        history = model.fit(*tiny.views(16), batch_size=8, verbose=0).history
        assert np.isfinite(history["loss"][0])

    def test_calibrator_may_have_its_own_optimizer(self):
        model = pretrainer("tc2")
        model.compile(
            keras.optimizers.SGD(0.1), calibrator_optimizer=keras.optimizers.SGD(0.0)
        )
        calibrator = [np.array(v) for v in model.calibrator.trainable_variables]
        projector = [np.array(v) for v in model.projector.trainable_variables]
        model.fit(dataset(), verbose=0)
        for a, b in zip(calibrator, model.calibrator.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b)
        assert any(
            np.any(a != np.asarray(b))
            for a, b in zip(projector, model.projector.trainable_variables, strict=True)
        )
        built = [len(v) for _, v in model.optimized_variables]
        assert sum(built) == len(model.trainable_variables)

    def test_calibrator_optimizer_needs_a_calibrator(self):
        with pytest.raises(ValueError, match="has no calibrator"):
            pretrainer("ssl").compile("sgd", calibrator_optimizer="sgd")


class SavedModelTest(TestCase):
    @both
    def test_a_saved_model_trains_on_as_if_never_saved(self, kind, tmp_path):
        model = pretrainer(kind)
        own = {"calibrator_optimizer": "adam"} if kind == "tc2" else {}
        model.compile(
            keras.optimizers.SGD(0.02, momentum=0.9),
            metrics=[keras.metrics.CosineSimilarity()],
            **own,
        )
        model.fit(dataset(), verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        histories = [m.fit(dataset(), verbose=0).history for m in (model, loaded)]
        assert histories[0] == histories[1]
        for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class NonFiniteTest(TestCase):
    @both
    def test_stops_with_the_step_and_the_term(self, kind):
        model = pretrainer(kind)
        model.compile(keras.optimizers.SGD(0.1))
        before = None

        class Remember(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                nonlocal before
                before = model.get_weights()

        message = "`view_1` is NaN or infinite at step 1 of epoch 0"
        with pytest.raises(FloatingPointError, match=message):
            model.fit(dataset(poison=1), verbose=0, callbacks=[Remember()])
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert all(np.all(np.isfinite(w)) for w in model.get_weights())

    @both
    def test_a_loss_at_fault_is_named(self, kind):
        model = pretrainer(kind)
        kernel = model.projector.trainable_variables[-2]
        kernel.assign(np.full(kernel.shape, np.inf))
        model.compile("sgd")
        term = model.loss_names[0]
        with pytest.raises(FloatingPointError, match=f"`{term}` is NaN"):
            model.fit(dataset(), verbose=0)

    @both
    def test_patience_skips_and_counts(self, kind):
        model = pretrainer(kind, nonfinite_patience=1)
        model.compile(keras.optimizers.Adam(0.01))
        history = model.fit(dataset(poison=1), epochs=2, verbose=0).history
        assert history["skipped_updates"] == [1, 1]
        assert model.optimizer.iterations == 4
        assert np.all(np.isfinite(history["loss"]))
        clean = dataset()
        kept = [batch for step, batch in enumerate(clean) if step != 1]
        twin = pretrainer(kind)
        twin.compile(keras.optimizers.SGD(0.0))
        twin.set_weights(model.get_weights())
        model.compile(keras.optimizers.SGD(0.0))
        mean = np.mean([float(twin.value_and_gradients(*b)[0]["loss"]) for b in kept])
        history = model.fit(dataset(poison=1), verbose=0).history
        self.assert_close(history["loss"][0], mean, rtol=1e-4)

    def test_a_skipped_update_does_not_count_in_metrics_of_the_user(self):
        model = pretrainer("ssl", nonfinite_patience=1)
        model.compile(
            keras.optimizers.SGD(0.0), metrics=[keras.metrics.CosineSimilarity()]
        )
        kept = [batch for step, batch in enumerate(dataset()) if step != 1]
        pairs = [
            np.split(model(np.concatenate(views), training=True), 2) for views in kept
        ]
        expected = np.mean([-keras.losses.cosine_similarity(*pair) for pair in pairs])
        found = model.fit(dataset(poison=1), verbose=0).history["cosine_similarity"]
        self.assert_close(found, [expected], rtol=1e-4)

    @both
    def test_patience_is_for_updates_in_a_row(self, kind):
        model = pretrainer(kind, nonfinite_patience=1)
        model.compile("sgd")
        bad = dataset(1, poison=0)
        good = dataset(1)
        model.fit(bad.concatenate(good).concatenate(bad), verbose=0)
        with pytest.raises(FloatingPointError, match=r"2 update\(s\) in a row"):
            model.fit(good.concatenate(bad).concatenate(bad), verbose=0)

    @pytest.mark.parametrize("at_once", [1, 4, 8])
    def test_patience_whatever_the_steps_per_execution(self, at_once):
        def steps(*poisoned):
            view_1, view_2 = (np.tile(v, (8, 1, 1, 1, 1)) for v in tiny.views())
            view_1[list(poisoned), 0] = np.nan
            return tf.data.Dataset.from_tensor_slices((view_1, view_2))

        model = pretrainer("ssl", nonfinite_patience=1)
        model.compile("sgd", steps_per_execution=at_once)
        history = model.fit(steps(0, 4, 7), epochs=1, verbose=0).history
        assert history["skipped_updates"] == [3]
        message = r"at step 4 of epoch 0; 2 update\(s\) in a row"
        for _ in range(2):  # The row of one call is not that of the next.
            with pytest.raises(FloatingPointError, match=message):
                model.fit(steps(0, 3, 4), verbose=0)
        # Rows go from one epoch to the next.
        with pytest.raises(FloatingPointError, match="at step 0 of epoch 1; 2 update"):
            model.fit(steps(0, 7), epochs=2, verbose=0)


class BatchTest(TestCase):
    @both
    def test_refuses_views_of_the_wrong_kind(self, kind):
        model = pretrainer(kind)
        model.compile("sgd")
        view_1, view_2 = tiny.views()
        cases = [
            ((view_1, view_2[:6]), "Both views must have the same shape"),
            ((view_1[..., :1], view_2[..., :1]), "the image size of the encoder"),
            ((view_1[:, :4], view_2[:, :4]), "the image size of the encoder"),
            (((255 * view_1).astype("uint8"), view_2), "must be float in"),
        ]
        for (a, b), message in cases:
            with pytest.raises(ValueError, match=message):
                model.value_and_gradients(a, b)
        with pytest.raises(ValueError, match="batches of \\(view_1, view_2\\)"):
            model.fit(tf.data.Dataset.from_tensors(view_1), verbose=0)

    @both
    def test_refuses_batches_of_unknown_size(self, kind):
        model = pretrainer(kind)
        model.compile("sgd")
        data = tf.data.Dataset.from_tensor_slices(tiny.views(12)).batch(8)
        with pytest.raises(ValueError, match=r"drop_remainder=True.*view_1 \(None, "):
            model.fit(data, verbose=0)


class TaskIdsTest(TestCase):
    def test_given_tasks_come_with_the_data(self):
        model = pretrainer("tc2", task_assignment="given")
        model.compile("sgd")
        ids = np.array([1, 0, 1, 0, 1, 0, 1, 0], "int32")
        data = tf.data.Dataset.from_tensors((*tiny.views(), ids))
        assert np.isfinite(model.fit(data, verbose=0).history["loss"][0])
        sorted_views = [v[np.argsort(ids, kind="stable")] for v in tiny.views()]
        by_block = pretrainer("tc2")
        by_block.set_weights(model.get_weights())
        expected, _ = by_block.value_and_gradients(*sorted_views)
        actual, _ = model.value_and_gradients(*tiny.views(), ids)
        for name in expected:
            self.assert_close(actual[name], expected[name], rtol=1e-4, atol=1e-5)
