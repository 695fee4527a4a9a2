"""Several replicas against one device, in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, data, layers
from keras_tc2.bilevel import value_and_gradients
from keras_tc2.layers.moments import exact_moments, local_statistics
from keras_tc2.objectives import NTXent, VICReg
from keras_tc2.objectives.objective import _all_gather
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import replicas, tiny
from tests.test_case import TestCase

PLAIN = {"transfer_weight": 0.0, "calibration": "none"}


def pretrainer(kind, *, objective=None, global_statistics=True, **arguments):
    if kind == "tc2":
        arguments = {**tiny.WHOLE_TC2, **arguments}
    encoder = tiny.encoder()
    projector = layers.ProjectionHead(4, hidden_dim=5, synchronized=global_statistics)
    if global_statistics:
        layers.synchronize(encoder)
    return {"ssl": SSLPretrainer, "tc2": TC2Pretrainer}[kind](
        encoder,
        objective=objective or NTXent(0.5, gather=global_statistics),
        projector=projector,
        **arguments,
    )


def on_replicas(num_replicas, build, optimizer=None):
    """A compiled model under a strategy, and its twin on one device, alike."""
    one = build()
    tiny.move_off_the_start(one.trainable_variables)
    strategy = replicas.strategy(num_replicas)
    with strategy.scope():
        many = build()
        many.compile((optimizer or keras.optimizers.SGD)(0.1))
    many.set_weights(one.get_weights())
    one.compile((optimizer or keras.optimizers.SGD)(0.1))
    return one, many


def dataset(batch_size=8, steps=1, poison=()):
    batches = [tiny.views(batch_size, step, "float64") for step in range(steps)]
    view_1, view_2 = (np.stack(part) for part in zip(*batches, strict=True))
    for step in poison:
        view_1[step, -1] = np.nan
    return tf.data.Dataset.from_tensor_slices((view_1, view_2))


class OneDeviceTest(TestCase):
    """With global negatives and statistics, N replicas are one device."""

    @pytest.mark.parametrize(
        ("kind", "num_replicas", "arguments"),
        [
            ("ssl", 2, {}),
            ("ssl", 4, {"objective": VICReg(gather=True)}),
            ("tc2", 2, PLAIN),
            pytest.param(
                "tc2",
                4,
                PLAIN,
                marks=pytest.mark.slow(reason="SSL on four, and TC² on two, cover it"),
            ),
        ],
    )
    def test_same_loss_weights_and_moving_statistics(
        self, float64, kind, num_replicas, arguments
    ):
        def build():
            return pretrainer(kind, **arguments)

        one, many = on_replicas(num_replicas, build, keras.optimizers.Adam)
        expected = one.fit(dataset(16, steps=2), verbose=0).history
        actual = many.fit(dataset(16, steps=2), verbose=0).history
        assert actual.keys() == expected.keys()
        for name in expected:
            self.assert_close(actual[name], expected[name], rtol=1e-6)
        for a, b in zip(many.get_weights(), one.get_weights(), strict=True):
            self.assert_close(a, b, rtol=1e-8, atol=1e-10)


class LocalTasksTest(TestCase):
    """Tasks are those of a replica: the update is the mean of the replicas' own."""

    @pytest.mark.parametrize(
        ("num_replicas", "arguments"),
        [
            # The projector alone under replicas is traced by the next test too.
            pytest.param(2, {"inner_scope": "projector"}, marks=pytest.mark.slow),
            (2, {"inner_scope": "encoder"}),
            # Of an objective that gathers, the tasks alone: they stay local.
            (
                2,
                {
                    "inner_scope": "projector",
                    "objective": NTXent(0.5, gather=True),
                    "base_weight": 0.0,
                    "num_inner_steps": 0,
                    "calibration": "none",
                },
            ),
            # Four replicas of a bi-level step take a quarter of a minute to trace.
            pytest.param(4, {"inner_scope": "projector"}, marks=pytest.mark.slow),
        ],
    )
    def test_the_update_is_the_mean_of_the_replicas_own(
        self, float64, num_replicas, arguments
    ):
        def build():
            return pretrainer("tc2", global_statistics=False, **arguments)

        one, many = on_replicas(num_replicas, build)
        views = tiny.views(4 * num_replicas, dtype="float64")
        step = tf.function(one.value_and_gradients)
        parts = [
            step(*part)
            for part in zip(*(np.split(v, num_replicas) for v in views), strict=True)
        ]
        logs = many.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
        for name in one.loss_names:
            mean = np.mean([float(losses[name]) for losses, _ in parts])
            self.assert_close(logs[name], [mean], rtol=1e-6)
        gradients = zip(*(gradients for _, gradients in parts), strict=True)
        for before, after, own in zip(
            one.trainable_variables, many.trainable_variables, gradients, strict=True
        ):
            expected = before.numpy() - 0.1 * np.mean(own, axis=0)
            self.assert_close(after.numpy(), expected, rtol=1e-8, atol=1e-10)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"inner_scope": "projector"},
            pytest.param({"alternating": True}, marks=pytest.mark.slow),
            pytest.param({"inner_scope": "encoder"}, marks=pytest.mark.slow),
        ],
    )
    def test_synchronised_layers_stay_local_in_the_inner_step(self, float64, arguments):
        """Equal halves: global statistics are local ones, so replicas are one half."""

        def build():
            objective = NTXent(0.5)
            return pretrainer("tc2", objective=objective, **arguments)

        one, many = on_replicas(2, build)
        half = tiny.views(4, dtype="float64")
        batch = tuple(np.concatenate([view, view]) for view in half)
        expected = one.fit(tf.data.Dataset.from_tensors(half), verbose=0).history
        actual = many.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history
        for name in expected:
            self.assert_close(actual[name], expected[name], rtol=1e-6)
        for a, b in zip(many.get_weights(), one.get_weights(), strict=True):
            self.assert_close(a, b, rtol=1e-8, atol=1e-10)


class NonFiniteTest(TestCase):
    @pytest.mark.parametrize("kind", ["ssl", "tc2"])
    def test_nan_on_one_replica_skips_on_all_and_counts_once(self, float64, kind):
        def build():
            return pretrainer(kind, nonfinite_patience=1, global_statistics=False)

        _, many = on_replicas(2, build)
        with many.distribute_strategy.scope():
            cosine = keras.metrics.CosineSimilarity()
            many.compile(keras.optimizers.SGD(0.1), metrics=[cosine])
        before = many.get_weights()
        history = many.fit(dataset(8, 1, poison=[0]), verbose=0).history
        assert history["skipped_updates"] == [1]
        assert history["cosine_similarity"] == [0]
        for a, b in zip(before, many.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        history = many.fit(dataset(8, 3, poison=[1]), verbose=0).history
        assert history["skipped_updates"] == [1]
        assert int(many.optimizer.iterations.numpy()) == 2
        assert np.isfinite(history["loss"][0])
        assert 0 < abs(history["cosine_similarity"][0]) <= 1
        assert all(np.all(np.isfinite(w)) for w in many.get_weights())
        with pytest.raises(FloatingPointError, match="`view_1` is NaN"):
            many.fit(dataset(8, 3, poison=[1, 2]), verbose=0)


class OverflowsOn(NTXent):
    """Half precision's fate on one replica: a finite loss, infinite gradients."""

    def __init__(self, replica):
        super().__init__()
        self.replica = replica

    def compute_loss(self, embeddings_1, embeddings_2):
        loss = super().compute_loss(embeddings_1, embeddings_2)
        context = tf.distribute.get_replica_context()
        here = tf.equal(context.replica_id_in_sync_group, self.replica)
        total = tf.reduce_sum(embeddings_1)
        nothing = total - tf.stop_gradient(total)
        return loss + tf.where(here, tf.constant(1e38, total.dtype), 0.0) * nothing


class OverflowTest(TestCase):
    @pytest.mark.parametrize("replica", [0, 1])
    def test_all_replicas_skip_and_halve_the_scale(self, replica):
        with replicas.strategy(2).scope():
            optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
            model = SSLPretrainer(
                tiny.encoder(),
                objective=OverflowsOn(replica),
                projector=layers.ProjectionHead(4, hidden_dim=5),
            )
            model.compile(
                keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
            )
        before = [v.numpy() for v in model.trainable_variables]
        data = tf.data.Dataset.from_tensors(tiny.views(8))
        assert np.isfinite(model.fit(data, verbose=0).history["loss"][0])
        for a, b in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b.numpy())
        assert float(model.optimizer.dynamic_scale.numpy()) == 512
        assert int(model.optimizer.inner_optimizer.iterations.numpy()) == 0


class CommunicationTest(TestCase):
    """What crosses replicas, and the derivatives of it."""

    def test_gathered_gradients(self, float64):
        strategy, rng = replicas.strategy(4), np.random.default_rng(0)
        x, weights = rng.normal(size=(8, 3)), rng.normal(size=(8, 8))

        def loss(x):
            return tf.reduce_sum(weights * tf.exp(x @ tf.transpose(x) / 8))

        @tf.function(autograph=False)
        def of_replica(part):
            return value_and_gradients(lambda z: loss(_all_gather(z[0])) / 4, [part])

        expected = value_and_gradients(lambda z: loss(z[0]), [tf.constant(x)])
        values, (gradient,) = strategy.run(
            of_replica, [replicas.per_replica(strategy, np.split(x, 4))]
        )
        gathered = strategy.gather(gradient, axis=0)
        self.assert_close(4 * values.values[0], expected[0], rtol=1e-12)
        self.assert_close(gathered, expected[1][0], rtol=1e-10)

    def test_moments_to_the_second_derivative(self, float64):
        """Gradient of a gradient through moments of all replicas."""
        strategy, rng = replicas.strategy(2), np.random.default_rng(0)
        x, direction = rng.normal(size=(2, 8, 3))

        def value(x, direction, total, synchronized):
            def normalised(z):
                mean, variance = exact_moments(
                    z[0], [0], keepdims=True, synchronized=synchronized
                )
                return tf.reduce_sum(tf.sin((z[0] - mean) * tf.math.rsqrt(variance)))

            def slope(z):
                _, (gradient,) = value_and_gradients(normalised, z)
                return tf.reduce_sum(direction * gradient)

            loss, (first,) = value_and_gradients(normalised, [x])
            _, (second,) = value_and_gradients(slope, [x])
            return total(loss), first, second

        expected = value(tf.constant(x), direction, lambda loss: loss, False)

        @tf.function(autograph=False)
        def of_replica(x, direction):
            context = tf.distribute.get_replica_context()
            return value(x, direction, lambda v: context.all_reduce("SUM", v), True)

        parts = [replicas.per_replica(strategy, np.split(v, 2)) for v in (x, direction)]
        loss, first, second = strategy.run(of_replica, parts)
        self.assert_close(loss.values[0], expected[0], rtol=1e-10)
        for actual, wanted in ((first, expected[1]), (second, expected[2])):
            actual = strategy.gather(actual, axis=0)
            self.assert_close(actual, wanted, rtol=1e-8, atol=1e-10)

    def test_local_statistics(self, float64):
        strategy, x = replicas.strategy(2), np.arange(8.0).reshape(4, 2)

        @tf.function(autograph=False)
        def of_replica(x):
            with local_statistics():
                local, _ = exact_moments(x, [0], synchronized=True)
            return local, exact_moments(x, [0], synchronized=True)[0]

        local, everywhere = strategy.run(
            of_replica, [replicas.per_replica(strategy, np.split(x, 2))]
        )
        self.assert_close(local.values[1], np.mean(x[2:], axis=0))
        self.assert_close(everywhere.values[1], np.mean(x, axis=0))


class Mark(augment.ImageAugmentation):
    """Tells the recipe: all pixels are its number."""

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def transform(self, images, seed):
        return 0.0 * images + self.number / 8


class RecipesTest(TestCase):
    @pytest.mark.parametrize("how", ["fit", "validation", "evaluate"])
    def test_each_replica_gets_every_task(self, how):
        images = np.random.default_rng(0).random((16, *tiny.IMAGE_SHAPE), "float32")
        recipes = [Mark(number) for number in range(4)]
        views = data.two_views(images, batch_size=16, augmentation=recipes)

        class Recorder(SSLPretrainer):
            """Logs how far a replica's batch is from the four tasks in turn."""

            def compute_losses(self, batch, *, training=True):
                losses, embeddings = super().compute_losses(batch, training=training)
                marks = tf.reduce_mean(batch.views[0], axis=(1, 2, 3)) * 8
                wanted = tf.repeat(tf.range(4.0), batch.views[0].shape[0] // 4)
                losses["loss"] *= tf.reduce_max(tf.abs(marks - wanted))
                return losses, embeddings

        with replicas.strategy(2).scope():
            model = Recorder(tiny.encoder(), objective="nt_xent")
            model.compile("sgd")
        if how == "validation":
            history = model.fit(views, validation_data=views, verbose=0).history
            assert history["val_loss"] == [0.0]
        elif how == "evaluate":
            assert model.evaluate(views, verbose=0, return_dict=True)["loss"] == 0
        else:
            assert model.fit(views, verbose=0).history["loss"] == [0.0]
