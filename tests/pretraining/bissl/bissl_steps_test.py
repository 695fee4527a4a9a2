"""What each step of BiSSL moves, and its hypergradient against a direct solve."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.objectives import BYOL, NTXent
from keras_tc2.pretraining import Batch, SSLPretrainer
from tests import tiny
from tests.pretraining.bissl.tiny_bissl import (
    assert_same,
    batch,
    compiled,
    labelled,
    moved,
    step_to,
    trainer,
    values,
    zip_views,
)
from tests.test_case import TestCase

# Of a regularizer, and so its share of the Hessian.
L2 = 3.0


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

        @tf.function(autograph=False)
        def gradient(flat):
            parts = tf.split(flat, sizes)
            weights = [tf.reshape(p, s) for p, s in zip(parts, shapes, strict=True)]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                pairs = list(zip(lower, weights, strict=True))
                with keras.StatelessScope(pairs):
                    forward = model.forward(views, training=True)
                    loss = model.objective(*forward.outputs, targets=forward.targets)
                for variable, weight in zip(lower, weights, strict=True):
                    if variable.regularizer is not None:
                        loss += L2 * tf.reduce_sum(weight**2)
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
        encoder = tiny.encoder()
        encoder.trainable_variables[0].regularizer = keras.regularizers.L2(L2)
        model = trainer(
            objective,
            encoder=encoder,
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
        pair = Batch(views)
        plain, _ = model._hypergradient(pair, images, labels, scale=1.0)
        scaled, _ = model._hypergradient(pair, images, labels, scale=1024.0)
        for a, b in zip(plain.gradients, scaled.gradients, strict=True):
            self.assert_close(a, b, rtol=1e-4, atol=1e-5)

    def test_an_overflow_of_the_upper_level_halves_its_scale_alone(self):
        keras.config.set_dtype_policy("mixed_float16")
        model = compiled(damping=100.0)
        optimizers = [model.optimizer, model.head_optimizer, model.upper_optimizer]
        step_to(model, 2)
        model.upper_optimizer.dynamic_scale.assign(2.0**60)
        scales = [float(optimizer.dynamic_scale) for optimizer in optimizers]
        before = values(model.trainable_variables)
        data = tf.data.Dataset.from_tensors(batch(7))
        history = model.fit(data, verbose=0).history
        assert history["phase"] == [2] and history["skipped_updates"] == [0]
        assert history["fallbacks"] == [0] and np.isnan(history["cg_residual"][0])
        assert_same(before, model.trainable_variables)
        assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [
            *scales[:2],
            scales[2] / 2,
        ]

    def test_optimizers_learn_alike_at_any_scale(self):
        keras.config.set_dtype_policy("mixed_float16")
        plain, scaled = compiled(damping=100.0), compiled(damping=100.0)
        scaled.set_weights(plain.get_weights())
        scaled.compile(
            keras.optimizers.SGD(0.05, momentum=0.9),
            upper_optimizer=keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(0.05), initial_scale=128.0
            ),
            head_optimizer=keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(0.05), initial_scale=256.0
            ),
            run_eagerly=True,
        )
        start = values(plain.upper_variables)
        for model in (plain, scaled):
            for seed in range(4):
                model.train_on_batch(*batch(seed))
        assert int(plain.upper_optimizer.iterations) == 1
        assert all(moved(start, plain.upper_variables))
        for a, b in zip(plain.upper_variables, scaled.upper_variables, strict=True):
            self.assert_close(a, b, rtol=1e-2, atol=1e-3)

    def test_a_loss_scale_is_saved(self, tmp_path):
        keras.config.set_dtype_policy("mixed_float16")
        model = compiled()
        model.upper_optimizer.dynamic_scale.assign(64.0)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert float(again.upper_optimizer.dynamic_scale) == 64.0
