"""BiSSL's steps, its hypergradient, and what a run of it must keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers, objectives
from keras_tc2.objectives import BYOL, NTXent
from keras_tc2.pretraining import BiSSLTrainer, SSLPretrainer, TC2Pretrainer
from tests import tiny
from tests.test_case import TestCase

SHORT = {
    "warmup_steps": 1,
    "num_alternations": 2,
    "lower_steps": 2,
    "upper_steps": 1,
}
NUM_CLASSES = 3


def trainer(objective=None, *, encoder=None, projector=None, **arguments):
    return BiSSLTrainer(
        encoder or tiny.encoder(),
        projector or layers.ProjectionHead(4, hidden_dim=5),
        objective or NTXent(0.5),
        NUM_CLASSES,
        **{**SHORT, **arguments},
    )


def compiled(*arguments, learning_rate=0.05, **keywords):
    """A trainer that runs without tracing, moved off its start."""
    run_eagerly = keywords.pop("run_eagerly", True)
    model = trainer(*arguments, **keywords)
    tiny.move_off_the_start(model.trainable_variables)
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        upper_optimizer=keras.optimizers.SGD(learning_rate),
        head_optimizer=keras.optimizers.SGD(learning_rate),
        run_eagerly=run_eagerly,
    )
    return model


def labelled(seed=0, dtype="float32", batch_size=6):
    rng = np.random.default_rng(100 + seed)
    images = rng.random((batch_size, *tiny.IMAGE_SHAPE)).astype(dtype)
    return images, np.arange(batch_size) % NUM_CLASSES


def batch(seed=0, dtype="float32"):
    return tiny.views(seed=seed, dtype=dtype), labelled(seed, dtype)


def step_to(model, phase):
    """Makes steps, until the next is of the phase."""
    for seed in range(10):
        done = int(model.step_count)
        if model.phases.phase(done) == phase:
            return seed
        model.train_on_batch(*batch(seed))
    raise AssertionError(phase)


def values(variables):
    return [np.asarray(variable).copy() for variable in variables]


def assert_same(before, variables):
    for a, b in zip(before, values(variables), strict=True):
        np.testing.assert_array_equal(a, b)


def moved(before, variables):
    after = values(variables)
    return [np.any(a != b) for a, b in zip(before, after, strict=True)]


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
        data = tf.data.Dataset.from_tensors(batch()).repeat(4)
        history = model.fit(data, verbose=1).history
        printed = capsys.readouterr().out
        for words in ("head warm-up 1/1", "lower 2/2 of", "upper 1/1 of alternation 1"):
            assert words in printed
        assert "nan" not in printed and "upper_loss" in printed
        assert set(history) == {
            "cg_residual",
            "encoder_distance",
            "fallbacks",
            "head_loss",
            "lower_loss",
            "phase",
            "skipped_updates",
            "upper_loss",
        }
        history = model.fit(data.take(1), verbose=0).history
        assert np.isnan(history["head_loss"][0])
        assert np.isfinite(history["lower_loss"][0]) and history["phase"] == [1]


class StepsTest(TestCase):
    """What each kind of step moves, and by how much."""

    def test_warm_up_moves_the_head_alone(self):
        model = compiled(BYOL(), warmup_steps=2)
        head = model.downstream_head.trainable_variables
        own = {id(v) for v in head}
        rest = [
            v
            for v in [*model.variables, *model.optimizer.variables]
            if id(v) not in own and v is not model.step_count
        ]
        before, kernel = values(rest), head[0].numpy()
        images, labels = labelled()
        features = model.upper_encoder.encode(images, training=False)
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, model.downstream_head(features)
            )
            loss = tf.reduce_mean(losses)
        gradient = tape.gradient(loss, head[0].value)
        logs = model.train_on_batch(*batch(), return_dict=True)
        assert_same(before, rest)
        self.assert_close(head[0], kernel - 0.05 * gradient, atol=1e-6)
        self.assert_close(logs["head_loss"], loss, rtol=1e-5)

    def test_a_lower_step_without_distance_is_a_step_of_pre_training(self):
        model = compiled(BYOL(momentum=0.5), warmup_steps=0, proximity_weight=3.0)
        plain = SSLPretrainer(
            tiny.encoder(),
            objective=BYOL(momentum=0.5),
            projector=layers.ProjectionHead(4, hidden_dim=5),
        )
        model.upper_encoder.set_weights(model.encoder.get_weights())
        parts = ("encoder", "projector", "head", "momentum_target")
        for name in parts:
            getattr(plain, name).set_weights(getattr(model, name).get_weights())
        plain.compile(keras.optimizers.SGD(0.05, momentum=0.9), run_eagerly=True)
        upper = values(model.upper_encoder.variables)
        plain.train_on_batch(*tiny.views())
        model.train_on_batch(*batch())
        for name in parts:
            for a, b in zip(
                getattr(plain, name).variables,
                getattr(model, name).variables,
                strict=True,
            ):
                self.assert_close(a, b, atol=1e-6)
        assert int(model.updates) == 1
        assert_same(upper, model.upper_encoder.variables)

    def test_proximity_pulls_the_encoder_alone(self):
        near, far = (
            compiled(warmup_steps=0, proximity_weight=weight, max_gradient_norm=1e6)
            for weight in (1e-9, 2.0)
        )
        far.set_weights(near.get_weights())
        lower, upper = near.encoder_variables
        distance = [a - b for a, b in zip(values(lower), values(upper), strict=True)]
        for model in (near, far):
            model.train_on_batch(*batch())
        for a, b, d in zip(lower, far.encoder_variables[0], distance, strict=True):
            self.assert_close(b, a - 0.05 * 2.0 * d, atol=1e-5)
            assert np.max(np.abs(d)) > 0.05
        for a, b in zip(
            near.projector.trainable_variables,
            far.projector.trainable_variables,
            strict=True,
        ):
            self.assert_close(a, b, atol=1e-6)

    @pytest.mark.parametrize(
        "solver", ["conjugate_gradient", "finite_difference", "neumann"]
    )
    def test_an_upper_step_leaves_the_lower_level_bit_identical(self, solver):
        encoder = tiny.encoder()
        projector = keras.Sequential(
            [
                keras.Input((4,)),
                layers.ProjectionHead(4, hidden_dim=5),
                keras.layers.Dropout(0.2, seed=1),
            ]
        )
        model = compiled(
            BYOL(momentum=0.5), encoder=encoder, projector=projector, solver=solver
        )
        step_to(model, 2)
        parts = [model.encoder, model.projector, model.head, model.momentum_target]
        lower = [variable for part in parts for variable in part.variables]
        assert any("seed" in variable.path for variable in lower)
        lower += [model.updates, *model.optimizer.variables]
        before = values(lower)
        upper = [*model.upper_encoder.variables, *model.downstream_head.variables]
        upper_before = values(upper)
        logs = model.train_on_batch(*batch(7), return_dict=True)
        assert logs["phase"] == 2
        assert_same(before, lower)
        # The upper encoder's own statistics are those of the labelled images.
        assert all(moved(upper_before, upper))

    def test_clipping_and_weight_decay(self):
        model = compiled(
            max_gradient_norm=0.01, downstream_weight_decay=0.5, solver="identity"
        )
        head = model.downstream_head.trainable_variables
        for phase, variables in ((0, head), (2, model.upper_variables)):
            step_to(model, phase)
            before = values(variables)
            model.train_on_batch(*batch(5))
            updates = [
                (a - b) / 0.05 - 0.5 * a
                for a, b in zip(before, values(variables), strict=True)
            ]
            size = np.sqrt(sum(np.sum(update**2) for update in updates))
            self.assert_close(size, 0.01, rtol=1e-2)
        model = compiled(max_gradient_norm=0.01, warmup_steps=0)
        before = values(model.lower_variables)
        model.train_on_batch(*batch())
        updates = [
            (a - b) / 0.05
            for a, b in zip(before, values(model.lower_variables), strict=True)
        ]
        size = np.sqrt(sum(np.sum(update**2) for update in updates))
        self.assert_close(size, 0.01, rtol=1e-2)

    def test_frozen_layers_stay(self):
        encoder = tiny.encoder()
        encoder.backbone.get_layer("conv").trainable = False
        model = compiled(encoder=encoder, solver="identity")
        kernels = [
            e.backbone.get_layer("conv").kernel
            for e in (model.encoder, model.upper_encoder)
        ]
        assert len(model.encoder_variables[0]) == 4
        before = values(kernels)
        for seed in range(4):
            model.train_on_batch(*batch(seed))
        assert_same(before, kernels)

    def test_evaluate_changes_nothing(self):
        model = compiled(solver="identity")
        before = values(model.variables)
        logs = model.evaluate(
            tf.data.Dataset.from_tensors(batch()), verbose=0, return_dict=True
        )
        assert_same(before, model.variables)
        assert np.isfinite(logs["lower_loss"]) and np.isfinite(logs["upper_loss"])


class HypergradientTest(TestCase):
    """Against a direct solve with a Hessian from central differences, in float64."""

    def lower_gradient(self, model, views):
        """A function from flat θ_L to the flat gradient of G."""
        lower, _ = model.encoder_variables
        shapes = [tuple(v.shape) for v in lower]
        sizes = [int(np.prod(shape)) for shape in shapes]

        @tf.function
        def gradient(flat):
            parts = tf.split(flat, sizes)
            weights = [tf.reshape(p, s) for p, s in zip(parts, shapes, strict=True)]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                pairs = list(zip(lower, weights, strict=True))
                with keras.StatelessScope(pairs):
                    forward = model.forward(views, training=True)
                    loss = model.objective(*forward.outputs, targets=forward.targets)
            return flattened(tape.gradient(loss, weights))

        return gradient, flattened(lower).numpy()

    def hessian(self, model, views, step=1e-5):
        gradient, start = self.lower_gradient(model, views)
        rows = [
            (gradient(start + step * e) - gradient(start - step * e)) / (2 * step)
            for e in np.eye(len(start))
        ]
        return np.stack(rows)

    def upper_gradients(self, model, encoder):
        """∇F in the encoder and in the head."""
        images, labels = labelled(dtype="float64")
        head = model.downstream_head.trainable_variables
        with tf.GradientTape() as tape:
            logits = model.downstream_head(encoder.encode(images, training=True))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        return tape.gradient(
            loss, [v.value for v in (*encoder.trainable_variables, *head)]
        )

    @pytest.mark.parametrize("objective", [NTXent(0.5), BYOL()])
    def test_equals_a_direct_solve(self, float64, objective):
        model = trainer(
            objective,
            proximity_weight=0.5,
            damping=40.0,
            direct_weight=0.3,
            num_solver_iterations=100,
            tolerance=1e-11,
        )
        tiny.move_off_the_start(model.trainable_variables)
        views = tuple(map(tf.constant, tiny.views(dtype="float64")))
        hessian = self.hessian(model, views)
        assert np.max(np.abs(np.linalg.eigvalsh((hessian + hessian.T) / 2))) > 1
        result = tf.function(lambda: vars(model.hypergradient(views, *upper)))
        upper = labelled(dtype="float64")
        before = values(model.variables)
        result = result()
        assert_same(before, model.variables)
        in_lower = self.upper_gradients(model, model.encoder)
        in_upper = self.upper_gradients(model, model.upper_encoder)
        count = len(model.encoder_variables[0])
        target = flattened(in_lower[:count]).numpy()
        system = np.eye(len(target)) + hessian / (0.5 + 40.0)
        solution = np.linalg.solve(system, target)
        assert np.linalg.norm(solution - target) > 0.01 * np.linalg.norm(target)
        encoder_part, head_part = (
            flattened(result["gradients"][:count]),
            flattened(result["gradients"][count:]),
        )
        direct = flattened(in_upper[:count])
        self.assert_close(encoder_part, solution + 0.3 * direct, rtol=1e-5, atol=1e-7)
        heads = flattened(in_lower[count:]) + 0.3 * flattened(in_upper[count:])
        self.assert_close(head_part, heads, rtol=1e-8, atol=1e-10)
        assert not result["fallback"] and result["residual"] < 1e-9

    def test_indefinite_curvature_is_finite_and_counted(self):
        model = compiled(damping=1e-4)
        step_to(model, 2)
        before = model.get_weights()
        logs = model.train_on_batch(*batch(3), return_dict=True)
        assert logs["fallbacks"] == 1 and logs["skipped_updates"] == 0
        assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())
        identity = compiled(solver="identity")
        step_to(identity, 2)
        identity.set_weights(before)
        identity.train_on_batch(*batch(3))
        for a, b in zip(model.get_weights(), identity.get_weights(), strict=True):
            self.assert_close(a, b, atol=1e-6)


def flattened(tensors):
    return tf.concat([tf.reshape(tf.convert_to_tensor(t), [-1]) for t in tensors], 0)


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
        tasks = {"num_tasks": 2} if kind is TC2Pretrainer else {}
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
        assert int(model.updates) == 1
        assert model.objective.momentum == 0.9995
        assert_same(model.encoder.get_weights(), model.upper_encoder.variables)


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


class PrecisionTest(TestCase):
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_solves_in_float32(self, policy):
        keras.config.set_dtype_policy(policy)
        model = compiled(damping=100.0)
        for seed in range(4):
            logs = model.train_on_batch(*batch(seed), return_dict=True)
        assert logs["phase"] == 2 and logs["skipped_updates"] == 0
        assert logs["cg_residual"] < 0.5
        result = model.hypergradient(*zip_views(batch(9)))
        assert all(g.dtype == tf.float32 for g in result.gradients)
        assert all(np.all(np.isfinite(w)) for w in model.get_weights())

    def test_the_loss_scale_cancels(self):
        model = compiled(damping=100.0)
        views, images, labels = zip_views(batch(9))
        pair = (*views, None)
        plain, _ = model._hypergradient(pair, images, labels, scale=1.0)
        scaled, _ = model._hypergradient(pair, images, labels, scale=1024.0)
        for a, b in zip(plain.gradients, scaled.gradients, strict=True):
            self.assert_close(a, b, rtol=1e-4, atol=1e-5)


def zip_views(data):
    """`(views, images, labels)` as tensors."""
    views, (images, labels) = data
    return tuple(map(tf.constant, views)), tf.constant(images), tf.constant(labels)


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


class ErrorsTest(TestCase):
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
