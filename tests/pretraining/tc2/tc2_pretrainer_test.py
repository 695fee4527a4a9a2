import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, data, layers
from keras_tc2.bilevel import ClusterAssignment
from keras_tc2.objectives import NTXent, SimSiam, VICReg
from keras_tc2.pretraining import Batch, SSLPretrainer, TC2Pretrainer
from tests import tiny
from tests.test_case import TestCase


class Pinned(TC2Pretrainer):
    """Holds Z̄ still: a central difference would move what the gradient detaches."""

    pinned = None

    def _detach(self, embeddings):
        if self.pinned is None:
            self.pinned = np.array(embeddings)
        return tf.constant(self.pinned)


def pretrainer(
    moved=True, objective=None, encoder=None, kind=TC2Pretrainer, **arguments
):
    arguments = {**tiny.WHOLE_TC2, **arguments}
    model = kind(
        encoder or tiny.encoder(),
        objective=objective or NTXent(0.5),
        projector=layers.ProjectionHead(4, hidden_dim=5),
        **arguments,
    )
    if moved:
        tiny.move_off_the_start(model.trainable_variables)
    return model


def group_of(model, variable):
    """`encoder`, `projector`, `factor_extractor`, ...: where a variable belongs."""
    groups = {"encoder": model.encoder, "projector": model.projector}
    if model.calibrator:
        groups["factor_extractor"] = model.factor_extractor
        groups["weight_extractor"] = model.weight_extractor
    for name, part in groups.items():
        if any(variable is v for v in part.trainable_variables):
            return name
    return "task_embeddings"


class GradientsTest(TestCase):
    """The outer gradient of every variable against float64 central differences."""

    @pytest.mark.parametrize(
        ("pairing", "num_inner_steps", "scope"),
        [
            # Two steps of a ring go through all that three do, and three tasks of
            # three steps take half a minute to trace. All pairs are tested with one
            # step, no step with a ring, and two steps in the larger scope.
            pytest.param(*case, marks=pytest.mark.slow)
            if case[1] == 3
            or case[:2] in (("all", 0), ("all", 2))
            or case == ("ring", 2, "projector")
            else case
            for case in itertools.product(
                ["ring", "all"], [0, 1, 2, 3], ["projector", "encoder"]
            )
        ],
    )
    def test_second_order(self, float64, scope, num_inner_steps, pairing):
        model = self.check(
            tiny.views(6, dtype="float64"),
            num_tasks=3 if pairing == "all" else 2,
            inner_scope=scope,
            num_inner_steps=num_inner_steps,
            pairing=pairing,
            inner_learning_rate=0.5,
        )
        groups = {group_of(model, v) for v in model.trainable_variables}
        assert len(groups) == 5

    @pytest.mark.parametrize(
        "arguments",
        [
            {"calibration": "projection", "nonnegative_weights": True},
            {
                "calibration": "gate",
                "task_embedding": False,
                "base_weight": 0.0,
                "transfer_weight": 2.0,
                "sparsity_weight": 0.5,
            },
            {
                "calibration": "none",
                "objective": VICReg(),
                "inner_learning_rate": 0.01,
            },
            {"task_assignment": "cluster", "inner_scope": "encoder"},
            {"inner_clipnorm": 0.05, "inner_learning_rate": 5.0},
            {"factors_from_batch": False},
            {"weights_per": "task", "calibration": "gate"},
            {"calibrate_base": True, "task_assignment": "cluster"},
            {"calibrate_base": True, "transfer_weight": 0.0, "weights_per": "task"},
            {"calibrated_part": "features", "calibrate_base": True},
            {"calibrated_part": "features", "inner_scope": "encoder"},
        ],
    )
    def test_other_formulations(self, float64, arguments):
        self.check(**arguments)

    def test_a_stock_normalisation_would_fail_this_test(self, float64):
        with (
            pytest.raises(AssertionError, match="central difference"),
            pytest.warns(UserWarning, match="second derivative"),
        ):
            self.check(
                encoder=tiny.encoder(keras.layers.BatchNormalization),
                inner_scope="encoder",
                inner_learning_rate=0.5,
                allow_inexact=True,
            )

    def test_factors_take_no_part_in_the_hypergradient(self, float64):
        views = tiny.views(8, dtype="float64")
        pinned, model = pretrainer(kind=Pinned), pretrainer()
        model.set_weights(pinned.get_weights())
        expected = pinned.value_and_gradients(*views)[1]
        actual = model.value_and_gradients(*views)[1]
        for a, b in zip(actual, expected, strict=True):
            self.assert_close(a, b, rtol=1e-10)

    @pytest.mark.parametrize("scope", ["projector", "encoder"])
    def test_first_order(self, float64, scope):
        """First order is the derivative of the loss with the inner gradient frozen."""
        model = pretrainer(inner_scope=scope, inner_order=1, inner_learning_rate=0.5)
        exact = pretrainer(inner_scope=scope, inner_order=2, inner_learning_rate=0.5)
        exact.set_weights(model.get_weights())
        views = tiny.views(8, dtype="float64")
        losses, first = model.value_and_gradients(*views)
        exact_losses, second = exact.value_and_gradients(*views)
        self.assert_close(losses["loss"], exact_losses["loss"], rtol=1e-12)
        differences = [
            np.max(np.abs(a - b)) for a, b in zip(first, second, strict=True)
        ]
        assert max(differences) > 1e-3
        # The step is linear in alpha: the hypergradient without the inner loop's
        # own derivative is what remains of second order when alpha goes to zero.
        for m in (model, exact):
            m.inner_learning_rate = 1e-9
        _, first = model.value_and_gradients(*views)
        _, second = exact.value_and_gradients(*views)
        for a, b in zip(first, second, strict=True):
            self.assert_close(a, b, rtol=1e-6, atol=1e-7)

    def check(self, views=None, **arguments):
        views = tiny.views(8, dtype="float64") if views is None else views
        model = pretrainer(kind=Pinned, **arguments)
        losses, gradients = model.value_and_gradients(*views)
        # The gradient of the graph, where tasks are batched, is the eager one.
        in_graph = tf.function(model.value_and_gradients, autograph=False)
        for a, b in zip(gradients, in_graph(*views)[1], strict=True):
            self.assert_close(a, b, rtol=1e-8, atol=1e-10)

        def loss():
            return in_graph(*views)[0]["loss"]

        self.assert_close(losses["loss"], loss(), rtol=1e-12)
        alone, _ = model.compute_losses(Batch(views), training=True)
        self.assert_close(losses["loss"], alone["loss"], rtol=1e-12)
        self.check_gradients(loss, model.trainable_variables, gradients)
        return model


class LossTest(TestCase):
    def test_is_base_ssl_when_all_is_off(self):
        arguments = {"objective": NTXent(0.5)}
        tc2 = pretrainer(calibration="none", transfer_weight=0.0)
        ssl = SSLPretrainer(
            tiny.encoder(),
            projector=layers.ProjectionHead(4, hidden_dim=5),
            **arguments,
        )
        ssl.set_weights(tc2.get_weights())
        views = tiny.views()
        losses, gradients = tc2.value_and_gradients(*views)
        expected, expected_gradients = ssl.value_and_gradients(*views)
        assert float(losses["loss"]) == float(expected["loss"])
        for a, b in zip(gradients, expected_gradients, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_loss_is_the_weighted_sum_of_its_parts(self):
        weights = {
            "base_weight": 0.5,
            "transfer_weight": 2.0,
            "reconstruction_weight": 3.0,
            "orthogonality_weight": 5.0,
            "sparsity_weight": 7.0,
        }
        model = pretrainer(log_task_gradient_cosine=True, **weights)
        losses, _ = model.value_and_gradients(*tiny.views())
        assert set(losses) == set(model.loss_names)
        parts = ["base_loss", "outer_loss", "reconstruction", "orthogonality"]
        parts += ["sparsity"]
        expected = sum(
            float(losses[part]) * weight
            for part, weight in zip(parts, weights.values(), strict=True)
        )
        self.assert_close(losses["loss"], expected, rtol=1e-5)

    @pytest.mark.parametrize("part", ["embeddings", "features"])
    def test_parts_against_a_step_by_step_computation(self, float64, part):
        """One ring of two tasks, written out with the layers called directly."""
        model = pretrainer(
            calibrated_part=part,
            inner_scope="projector",
            inner_learning_rate=0.5,
            inner_clipnorm=None,
        )
        view_1, view_2 = tiny.views(8, dtype="float64")
        losses, _ = model.value_and_gradients(view_1, view_2)

        def features_of(view_1, view_2):
            both = np.concatenate([view_1, view_2])
            return np.asarray(model.encoder.network(both, training=True))

        def loss_of(features, task):
            calibrated = features
            if part == "features":
                calibrated = model.calibrator.calibrate(factors, calibrated, task)
            calibrated = model.projector(calibrated, training=True)
            if part == "embeddings":
                calibrated = model.calibrator.calibrate(factors, calibrated, task)
            half = len(features) // 2
            return NTXent(0.5)(calibrated[:half], calibrated[half:])

        features = features_of(view_1, view_2)
        embeddings = model.projector(features, training=True)
        parts = {"features": features, "embeddings": embeddings}
        factors = model.calibrator.factors(parts[part])
        span = parts[part] @ np.transpose(factors) @ factors
        left = np.sum((parts[part] - span) ** 2) / np.sum(np.square(parts[part]))
        self.assert_close(losses["reconstruction"], left)
        self.assert_close(
            losses["base_loss"], NTXent(0.5)(embeddings[:8], embeddings[8:])
        )
        first, second = features[:8], features[8:]
        tasks = [
            np.concatenate([first[block], second[block]])
            for block in (slice(0, 4), slice(4, 8))
        ]
        inner, outer = [], []
        start = [np.asarray(v) for v in model.projector.trainable_variables]
        for s, q in ((0, 1), (1, 0)):
            variables = [v.value for v in model.projector.trainable_variables]
            with tf.GradientTape() as tape:
                loss = loss_of(tasks[s], s)
            inner.append(float(loss))
            for variable, gradient in zip(
                variables, tape.gradient(loss, variables), strict=True
            ):
                variable.assign_sub(0.5 * gradient)
            outer.append(float(loss_of(tasks[q], q)))
            for variable, value in zip(variables, start, strict=True):
                variable.assign(value)
        self.assert_close(losses["inner_loss"], np.mean(inner))
        self.assert_close(losses["outer_loss"], np.mean(outer))

    @pytest.mark.parametrize("part", ["embeddings", "features"])
    def test_calibrated_base_term_step_by_step(self, float64, part):
        """With tasks that are given in no order, and a head."""
        objective = SimSiam(hidden_dim=3)
        model = pretrainer(
            objective=objective,
            task_assignment="given",
            calibrate_base=True,
            calibrated_part=part,
        )
        views = tiny.views(8, dtype="float64")
        tasks = np.array([1, 0, 0, 1, 1, 0, 1, 0], "int32")
        losses, _ = model.value_and_gradients(*views, tasks)
        both = np.concatenate(views)
        features = model.encoder.network(both, training=True)
        embeddings = model.projector(features, training=True)
        calibrated = embeddings if part == "embeddings" else features
        factors = model.calibrator.factors(calibrated)
        calibrated = model.calibrator.calibrate(factors, calibrated, [*tasks, *tasks])
        if part == "features":
            calibrated = model.projector(calibrated, training=True)
        outputs = np.asarray(model.head(calibrated, training=True))
        targets = np.asarray(embeddings)
        expected = objective(
            outputs[:8], outputs[8:], targets=[targets[:8], targets[8:]]
        )
        self.assert_close(losses["base_loss"], expected)
        plain = pretrainer(objective=objective, task_assignment="given")
        plain.set_weights(model.get_weights())
        losses, _ = plain.value_and_gradients(*views, tasks)
        assert abs(float(losses["base_loss"]) - float(expected)) > 1e-3

    def test_scopes_without_inner_step_agree(self, float64):
        # Without batch statistics, encoding a task alone changes nothing.
        def identity(name):
            return keras.layers.Activation("linear", name=name)

        models = [
            pretrainer(
                encoder=tiny.encoder(identity), inner_scope=scope, num_inner_steps=0
            )
            for scope in ("projector", "encoder")
        ]
        models[1].set_weights(models[0].get_weights())
        views = tiny.views(dtype="float64")
        results = [model.value_and_gradients(*views) for model in models]
        self.assert_close(results[0][0]["loss"], results[1][0]["loss"])
        for a, b in zip(results[0][1], results[1][1], strict=True):
            self.assert_close(a, b)

    def test_task_gradient_cosines(self):
        model = pretrainer(num_tasks=4, log_task_gradient_cosine=True)
        views = tiny.views()
        cosines = np.asarray(model.task_gradient_cosines(*views))
        assert cosines.shape == (4, 4)
        self.assert_close(np.diag(cosines), np.ones(4), atol=1e-5)
        losses, _ = model.value_and_gradients(*views)
        mean = cosines[~np.eye(4, dtype=bool)].mean()
        self.assert_close(losses["task_gradient_cosine"], mean, atol=1e-5)
        # Two tasks of the same images in the same views pull the same way.
        model = pretrainer(num_tasks=2, task_embedding=False)
        view_1, view_2 = (np.concatenate([v[:4], v[:4]]) for v in views)
        cosines = np.asarray(model.task_gradient_cosines(view_1, view_2))
        self.assert_close(cosines, np.ones((2, 2)), atol=1e-4)


class StateTest(TestCase):
    @pytest.mark.parametrize("scope", ["projector", "encoder"])
    def test_value_and_gradients_changes_nothing(self, scope):
        model = pretrainer(inner_scope=scope)
        before = model.get_weights()
        model.value_and_gradients(*tiny.views())
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("scope", ["projector", "encoder"])
    def test_moving_statistics_see_the_whole_batch_once(self, scope):
        model = pretrainer(inner_scope=scope, num_inner_steps=2)
        model.compile(keras.optimizers.SGD(0.0))
        views = tiny.views()
        twin = pretrainer(inner_scope=scope)
        twin.set_weights(model.get_weights())
        twin(np.concatenate(views), training=True)
        model.train_on_batch(*views)
        for a, b in zip(
            model.non_trainable_variables, twin.non_trainable_variables, strict=True
        ):
            np.testing.assert_array_equal(a, b)
        assert np.any(np.asarray(twin.encoder.network.get_layer("tiny").weights[3]))


class AlternatingTest(TestCase):
    def test_the_calibrator_follows_by_its_gradient_at_the_new_weights(self, float64):
        model, twin = pretrainer(alternating=True), pretrainer()
        plain = pretrainer()
        for other in (twin, plain):
            other.set_weights(model.get_weights())
        views = tiny.views(dtype="float64")
        model.compile(
            keras.optimizers.SGD(0.1), calibrator_optimizer=keras.optimizers.SGD(0.3)
        )
        model.fit(tf.data.Dataset.from_tensors(views), verbose=0)
        calibrator = {id(variable) for variable in twin.calibrator_variables}
        moving = [np.array(v) for v in model.non_trainable_variables]
        for rate, of_calibrator in ((0.1, False), (0.3, True)):
            _, gradients = twin.value_and_gradients(*views)
            for variable, gradient in zip(
                twin.trainable_variables, gradients, strict=True
            ):
                if (id(variable) in calibrator) == of_calibrator:
                    variable.assign(variable - rate * gradient)
        for a, b in zip(
            model.trainable_variables, twin.trainable_variables, strict=True
        ):
            self.assert_close(a, b, rtol=1e-8, atol=1e-10)
        # Batch statistics are taken over once.
        plain.compile(keras.optimizers.SGD(0.1))
        plain.fit(tf.data.Dataset.from_tensors(views), verbose=0)
        for a, b in zip(moving, plain.non_trainable_variables, strict=True):
            self.assert_close(a, b)

    def test_has_two_optimizers_with_the_same_arguments(self):
        model = pretrainer(alternating=True)
        model.compile(keras.optimizers.AdamW(0.02, beta_1=0.7))
        first, second = model.optimizer, model.calibrator_optimizer
        assert first is not second
        config = first.get_config()
        assert second.get_config() == config and config["beta_1"] == 0.7
        model.fit(tf.data.Dataset.from_tensors(tiny.views()).repeat(3), verbose=0)
        assert int(first.iterations) == int(second.iterations) == 3

    def test_both_optimizers_end_with_the_average(self):
        model = pretrainer(alternating=True)
        model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
        model.fit(tf.data.Dataset.from_tensors(tiny.views()).repeat(3), verbose=0)
        for optimizer, variables in model.optimized_variables:
            averages = [v for v in optimizer.variables if "average" in v.path]
            assert len(averages) == len(variables)
            for variable, average in zip(variables, averages, strict=True):
                np.testing.assert_array_equal(variable, average)

    def test_what_is_not_finite_updates_neither(self):
        model = pretrainer(alternating=True, nonfinite_patience=1)
        model.compile("sgd")
        before = model.get_weights()
        view_1, view_2 = tiny.views()
        view_1 = np.where(np.arange(6)[:, None] == 2, np.nan, view_1).astype("float32")
        model.fit(tf.data.Dataset.from_tensors((view_1, view_2)), verbose=0)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_what_is_not_finite_after_the_first_half_is_reported(self):
        class SecondIsNaN(TC2Pretrainer):
            num_times = 0

            def _differentiate(self, batch, **arguments):
                found = super()._differentiate(batch, **arguments)
                self.num_times += 1
                if self.num_times % 2:
                    return found
                losses, embeddings, gradients, state = found
                return losses, embeddings, [g * np.nan for g in gradients], state

        model = pretrainer(kind=SecondIsNaN, alternating=True)
        model.compile("sgd")
        with pytest.raises(FloatingPointError, match="`gradients` is NaN"):
            model.fit(tf.data.Dataset.from_tensors(tiny.views()), verbose=0)


class TasksOfABatchTest(TestCase):
    """Batches whose tasks cannot be made are skipped, or stop the run; XLA or not."""

    def plain(self, task_assignment, **arguments):
        arguments |= {"calibration": "none", "num_inner_steps": 0}
        return pretrainer(
            calibrate_base=False, task_assignment=task_assignment, **arguments
        )

    def test_clusters_with_a_nan_image_are_skipped_and_reported(self):
        view_1, view_2 = (np.tile(view, (3, 1, 1, 1)) for view in tiny.views())
        view_1[9] = np.nan
        batches = tf.data.Dataset.from_tensor_slices((view_1, view_2)).batch(
            8, drop_remainder=True
        )
        for patience in (1, 0):
            model = self.plain("cluster", nonfinite_patience=patience)
            model.compile("sgd")
            if patience:
                history = model.fit(batches, verbose=0).history
                assert history["skipped_updates"] == [1]
                continue
            message = "`view_1` is NaN or infinite at step 1 of epoch 0"
            with pytest.raises(FloatingPointError, match=message):
                model.fit(batches, verbose=0)

    def test_given_tasks_that_are_not_balanced_under_xla(self):
        model = self.plain("given")
        model.compile("sgd", jit_compile=True)
        before = model.get_weights()
        batch = (*tiny.views(), np.int32([1, 2] * 4))
        message = r'(?s)`loss` is NaN.*task_assignment="given"'
        with pytest.raises(FloatingPointError, match=message):
            model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class BlocksOfDataTest(TestCase):
    """Tasks that are blocks must be those of the data."""

    @pytest.mark.parametrize("num_recipes", [2, 8])
    def test_recipes_that_tasks_would_straddle(self, num_recipes):
        images = np.zeros((16, *tiny.IMAGE_SHAPE), "float32")
        recipes = [augment.RandomHorizontalFlip() for _ in range(num_recipes)]
        views = data.two_views(images, batch_size=16, augmentation=recipes)
        blocks = pretrainer(num_tasks=4)
        blocks.compile("sgd")
        with pytest.raises(ValueError, match=f"`num_tasks={num_recipes}`"):
            blocks.fit(views)
        clusters = pretrainer(num_tasks=4, task_assignment="cluster")
        clusters.check_data(views)
        pretrainer(num_tasks=num_recipes).check_data(views)


class ArgumentsTest(TestCase):
    def test_config(self):
        arguments = {
            "encoder": tiny.encoder(),
            "objective": VICReg(),
            "projector": layers.ProjectionHead(3),
            "num_tasks": 3,
            "num_factors": 5,
            "factors_from_batch": False,
            "inner_learning_rate": 0.1,
            "inner_clipnorm": 2.0,
            "num_inner_steps": 2,
            "inner_scope": "encoder",
            "inner_order": 1,
            "pairing": "all",
            "calibration": "gate",
            "calibrated_part": "features",
            "task_embedding": False,
            "weights_per": "task",
            "calibrate_base": True,
            "reconstruction_weight": 2.0,
            "orthogonality_weight": 3.0,
            "sparsity_weight": 0.5,
            "alternating": True,
            "base_weight": 0.25,
            "transfer_weight": 0.75,
            "task_assignment": ClusterAssignment(7),
            "log_task_gradient_cosine": True,
            "allow_inexact": True,
            "augmentation": [augment.RandomHorizontalFlip(seed=4)],
            "nonfinite_patience": 4,
        }
        self.run_config_test(TC2Pretrainer, arguments, apart=["nonnegative_weights"])
        del arguments["weights_per"]
        arguments |= {"calibration": "projection", "nonnegative_weights": True}
        self.run_config_test(TC2Pretrainer, arguments, apart=["weights_per"])

    @pytest.mark.parametrize("without", ["num_inner_steps", "transfer_weight"])
    def test_a_cosine_of_gradients_that_are_not_made(self, without):
        with pytest.raises(ValueError, match=f"`log_task_gradient.*{without}=0"):
            pretrainer(log_task_gradient_cosine=True, **{without: 0})

    def test_saves_and_loads_whole(self, tmp_path):
        model = pretrainer(task_assignment="cluster")
        path = str(tmp_path / "pretrainer.keras")
        model.save(path)
        reloaded = keras.saving.load_model(path)
        views = tiny.views()
        expected, _ = model.value_and_gradients(*views)
        actual, _ = reloaded.value_and_gradients(*views)
        assert {k: float(v) for k, v in actual.items()} == {
            k: float(v) for k, v in expected.items()
        }

    @pytest.mark.parametrize(
        "arguments",
        [
            {"num_tasks": 1},
            {"num_factors": 0},
            {"inner_learning_rate": 0.0},
            {"inner_clipnorm": 0.0},
            {"inner_learning_rate": float("nan")},
            {"num_inner_steps": -1},
            {"inner_scope": "head"},
            {"inner_order": 3},
            {"pairing": "chain"},
            {"calibration": "mixing"},
            {"weights_per": "image"},
            {"calibrated_part": "views"},
            {"sparsity_weight": -0.1},
            {"task_assignment": "random"},
            {"nonfinite_patience": -1},
        ],
    )
    def test_refuses_and_names(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            pretrainer(**arguments)

    def test_refuses_to_train_nothing(self):
        with pytest.raises(ValueError, match="are both 0"):
            pretrainer(base_weight=0, transfer_weight=0)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"factors_from_batch": False},
            {"weights_per": "task"},
            {"calibrate_base": 1},
            {"calibrated_part": "features"},
            {"alternating": True},
            {"nonnegative_weights": True},
            {"task_embedding": False},
        ],
    )
    def test_refuses_how_to_calibrate_without_calibration(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}=.*calibration='none'"):
            pretrainer(calibration="none", **arguments)

    def test_refuses_a_calibrated_base_term_without_base_term(self):
        with pytest.raises(ValueError, match="`base_weight=0` leaves out"):
            pretrainer(base_weight=0, calibrate_base=True)

    def test_second_order_refuses_stock_normalisation(self):
        stock = tiny.encoder(keras.layers.BatchNormalization)
        with pytest.raises(ValueError, match=r"norm.*make_twice_differentiable"):
            pretrainer(encoder=stock, inner_scope="encoder")
        with pytest.warns(UserWarning, match="wrong: .*norm"):
            pretrainer(encoder=stock, inner_scope="encoder", allow_inexact=True)
        pretrainer(encoder=stock, inner_scope="encoder", inner_order=1)
        pretrainer(encoder=stock, inner_scope="projector")
        layers.make_twice_differentiable(stock.network)
        pretrainer(encoder=stock, inner_scope="encoder")

    def test_refuses_a_batch_that_tasks_do_not_divide(self):
        model = pretrainer(num_tasks=3)
        message = r"batch size 8 is not divisible by num_tasks=3.*6 and 9"
        with pytest.raises(ValueError, match=message):
            model.value_and_gradients(*tiny.views(8))

    def test_refuses_tasks_of_one_image(self):
        with pytest.raises(ValueError, match="2 images or more"):
            pretrainer(num_tasks=4).value_and_gradients(*tiny.views(4))
