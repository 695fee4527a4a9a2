"""Half-precision policies against float32."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import encoders, layers
from keras_tc2.bilevel import value_and_gradients
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import tiny
from tests.test_case import TestCase

POLICIES = ["mixed_float16", "mixed_bfloat16"]
KINDS = {
    "ssl": (SSLPretrainer, {}),
    "projector": (TC2Pretrainer, {"inner_scope": "projector"}),
    "encoder": (TC2Pretrainer, {"inner_scope": "encoder", "inner_learning_rate": 0.01}),
}


def pretrainer(policy, kind):
    keras.config.set_dtype_policy(policy)
    cls, arguments = KINDS[kind]
    if cls is TC2Pretrainer:
        arguments = {**tiny.WHOLE_TC2, **arguments}
    model = cls(
        tiny.encoder(),
        objective="nt_xent",
        projector=layers.ProjectionHead(4, hidden_dim=5),
        **arguments,
    )
    tiny.move_off_the_start(model.trainable_variables, scale=0.1)
    return model


def dataset(steps=4):
    batches = [tiny.views(8, seed) for seed in range(steps)]
    views = tuple(np.stack(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices(views)


def cosine(a, b):
    a, b = (np.concatenate([np.ravel(x) for x in part]) for part in (a, b))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


class Run:
    """A few steps: the weights before, how far each variable moved, the history."""

    def __init__(self, model):
        self.weights = model.get_weights()
        start = [v.numpy() for v in model.trainable_variables]
        self.history = model.fit(dataset(), epochs=2, verbose=0).history
        ends = [v.numpy() for v in model.trainable_variables]
        self.moves = [b - a for a, b in zip(start, ends, strict=True)]


@pytest.fixture(scope="module")
def in_float32():
    """The run of a kind of pretrainer in float32, made once."""

    @functools.cache
    def run(kind):
        model = pretrainer("float32", kind)
        model.compile(keras.optimizers.SGD(0.0005))
        return Run(model)

    return run


class MixedPrecisionTest(TestCase):
    @pytest.mark.parametrize(
        ("policy", "kind"),
        [
            ("mixed_float16", "ssl"),
            ("mixed_float16", "projector"),
            ("mixed_bfloat16", "encoder"),
            # Each policy and each kind is above; a step of any pair is traced twice.
            pytest.param("mixed_bfloat16", "ssl", marks=pytest.mark.slow),
            pytest.param("mixed_bfloat16", "projector", marks=pytest.mark.slow),
            pytest.param("mixed_float16", "encoder", marks=pytest.mark.slow),
        ],
    )
    def test_a_few_steps_go_as_in_float32(self, policy, kind, in_float32):
        expected = in_float32(kind)
        model = pretrainer(policy, kind)
        model.set_weights(expected.weights)
        model.compile(keras.optimizers.SGD(0.0005))
        scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        half = policy == "mixed_float16"
        assert scales == half
        if scales:  # It starts where some first steps overflow, which is by design.
            model.optimizer.dynamic_scale.assign(256.0)
        actual = Run(model)
        assert actual.history["skipped_updates"] == [0, 0]
        assert int(model.optimizer.iterations) == 8
        tolerance = 0.01 if half else 0.1
        for name, values in expected.history.items():
            self.assert_close(
                actual.history[name], values, rtol=tolerance, atol=tolerance
            )
        # bfloat16 keeps eight bits, and a task has four images here.
        assert cosine(expected.moves, actual.moves) > (0.98 if half else 0.9)
        assert all(v.dtype == "float32" for v in model.trainable_variables)

    @pytest.mark.parametrize(
        ("policy", "kind"), list(zip(POLICIES, ["projector", "encoder"], strict=True))
    )
    def test_losses_and_inner_gradients_are_float32(self, policy, kind):
        model = pretrainer(policy, kind)
        losses, gradients = tf.function(model.value_and_gradients, autograph=False)(
            *tiny.views()
        )
        assert {losses[name].dtype for name in losses} == {tf.float32}
        assert {g.dtype for g in gradients} == {tf.float32}
        cosines = model.task_gradient_cosines(*tiny.views())
        assert cosines.dtype == tf.float32
        assert np.all(np.isfinite(cosines))

    @pytest.mark.parametrize("scope", ["projector", "encoder"])
    def test_weights_may_be_in_half_precision(self, scope):
        def made(policy):
            keras.config.set_dtype_policy(policy)
            model = TC2Pretrainer(
                tiny.encoder(),
                objective="nt_xent",
                projector=layers.ProjectionHead(4, hidden_dim=5),
                num_tasks=2,
                num_inner_steps=1,
                inner_scope=scope,
            )
            tiny.move_off_the_start(model.trainable_variables, scale=0.1)
            return model

        one, two = made("float32"), made("bfloat16")
        one.set_weights(two.get_weights())
        (expected, whole), (losses, half) = (
            model.value_and_gradients(*tiny.views(8)) for model in (one, two)
        )
        for name, loss in expected.items():
            assert losses[name].dtype == tf.float32
            self.assert_close(losses[name], loss, rtol=0.1, atol=0.1)
        assert {g.dtype for g in half} == {tf.bfloat16}
        assert cosine(whole, [np.array(tf.cast(g, "float32")) for g in half]) > 0.9
        two.compile(keras.optimizers.SGD(0.01))
        assert two.fit(dataset(1), verbose=0).history["skipped_updates"] == [0]

    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize(
        ("name", "arguments", "last"),
        [
            ("convnet", {"widths": (4, 6, 8)}, (8, 2, 2, 8)),
            ("resnet18", {"width": 4}, (8, 2, 2, 32)),
        ],
    )
    def test_no_feature_map_is_cast_but_the_last(self, policy, name, arguments, last):
        keras.config.set_dtype_policy(policy)
        encoder = encoders.create(name, input_shape=(16, 16, 3), **arguments)
        model = SSLPretrainer(encoder, objective="nt_xent")
        model.compile("sgd")
        step = tf.function(lambda *views: model.train_step(views))
        view = tf.TensorSpec((4, 16, 16, 3))
        graph = step.get_concrete_function(view, view).graph
        casts = [o.outputs[0].shape for o in graph.get_operations() if o.type == "Cast"]
        # Of both views, not of kernels.
        maps = [tuple(shape) for shape in casts if len(shape) == 4 and shape[0] == 8]
        # What the network is given, and what it averages in float32, there and back.
        assert sorted(maps) == [last, last, (8, 16, 16, 3)]

    def test_an_overflow_halves_the_scale_and_skips(self):
        model = pretrainer("mixed_float16", "projector")
        model.compile(keras.optimizers.SGD(0.05))
        model.optimizer.dynamic_scale.assign(2.0**60)
        before = [v.numpy() for v in model.trainable_variables]
        history = model.fit(dataset(1), verbose=0).history
        assert history["skipped_updates"] == [0]
        assert float(model.optimizer.dynamic_scale.numpy()) == 2.0**59
        for a, b in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b.numpy())

    def test_a_calibrator_optimizer_has_a_loss_scale_of_its_own(self):
        one, two = (pretrainer("mixed_float16", "projector") for _ in range(2))
        two.set_weights(one.get_weights())
        start = [v.numpy() for v in one.trainable_variables]
        one.compile(keras.optimizers.SGD(0.01))
        two.compile(
            keras.optimizers.SGD(0.01), calibrator_optimizer=keras.optimizers.SGD(0.01)
        )
        one.optimizer.dynamic_scale.assign(256.0)
        two.optimizer.dynamic_scale.assign(256.0)
        two.calibrator_optimizer.dynamic_scale.assign(1024.0)
        for model in (one, two):
            model.fit(dataset(1), verbose=0)
        for a, b in zip(one.trainable_variables, two.trainable_variables, strict=True):
            self.assert_close(a.numpy(), b.numpy(), atol=1e-6)
        moved = zip(start, two.trainable_variables, strict=True)
        assert any(np.any(a != b.numpy()) for a, b in moved)
        two.optimizer.dynamic_scale.assign(2.0**60)
        before = [v.numpy() for v in two.calibrator_variables]
        two.fit(dataset(1), verbose=0)
        for a, b in zip(before, two.calibrator_variables, strict=True):
            np.testing.assert_array_equal(a, b.numpy())

    def test_the_calibrator_alone_may_have_a_loss_scale(self):
        one, two = (pretrainer("float32", "projector") for _ in range(2))
        two.set_weights(one.get_weights())
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))
        for model, optimizer in ((one, keras.optimizers.SGD(0.01)), (two, scaled)):
            model.compile(keras.optimizers.SGD(0.01), calibrator_optimizer=optimizer)
            model.fit(dataset(1), verbose=0)
        for a, b in zip(one.trainable_variables, two.trainable_variables, strict=True):
            self.assert_close(a.numpy(), b.numpy(), atol=1e-7)

    @pytest.mark.parametrize("kind", ["projector", "encoder"])
    def test_small_inner_gradients_do_not_vanish(self, kind):
        """Through half-precision activations, of a loss a ten-thousandth as large."""
        cosines = {}
        for policy in ("float32", "mixed_float16"):
            keras.utils.set_random_seed(0)
            model = pretrainer(policy, kind)
            views = np.concatenate(tiny.views())
            scope = model.scope

            def loss(weights, scope=scope, views=views, model=model):
                inputs = [tf.constant(views)]
                if kind == "projector":
                    inputs = [tf.stop_gradient(model.encoder.encode(inputs[0]))]
                embeddings = scope.outputs(weights, inputs, [1], True)[0]
                return 1e-4 * model.objective.compute_loss(
                    *tf.split(tf.cast(embeddings, "float32"), 2)
                )

            _, cosines[policy] = value_and_gradients(loss, scope.weights())
        assert cosine(*cosines.values()) > 0.98


class NonFiniteGradientsTest(TestCase):
    def test_no_loss_scale_hides_them(self):
        keras.config.set_dtype_policy("mixed_float16")

        def distance(embeddings_1, embeddings_2):
            """Has a NaN gradient where both are equal."""
            return tf.reduce_mean(tf.norm(embeddings_1 - embeddings_2, axis=-1))

        model = SSLPretrainer(tiny.encoder(), objective=distance)
        sgd = keras.optimizers.SGD(0.1)
        model.compile(keras.optimizers.LossScaleOptimizer(sgd, initial_scale=2.0))
        view = tiny.views()[0]
        views = tf.data.Dataset.from_tensors((view, view)).repeat(5)
        # At scales of 2 and 1 it may be an overflow.
        message = "`gradients` is NaN or infinite at step 2"
        with pytest.raises(FloatingPointError, match=message):
            model.fit(views, verbose=0)
