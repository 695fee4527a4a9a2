import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.optimizers import LARS
from tests.test_case import TestCase

RATE, MOMENTUM, DECAY, TRUST = 0.5, 0.9, 0.1, 0.01


def optimizer(**arguments):
    arguments = {
        "learning_rate": RATE,
        "momentum": MOMENTUM,
        "l2_weight_decay": DECAY,
        "trust_coefficient": TRUST,
        **arguments,
    }
    return LARS(**arguments)


def by_hand(weight, gradients, adapted):
    """The listing of the docstring, step after step."""
    velocity = np.zeros_like(weight)
    for gradient in gradients:
        update, ratio = gradient, 1.0
        if adapted:
            update = gradient + DECAY * weight
            sizes = np.linalg.norm(weight), np.linalg.norm(update)
            ratio = TRUST * sizes[0] / sizes[1] if all(sizes) else 1.0
        velocity = MOMENTUM * velocity + RATE * ratio * update
        weight = weight - velocity
    return weight


class LARSTest(TestCase):
    @pytest.mark.parametrize("shape", [(3, 2), (2, 2, 3, 4), (5,), ()])
    def test_steps_by_hand(self, shape):
        rng = np.random.default_rng(0)
        start = rng.normal(size=shape).astype("float32")
        gradients = rng.normal(size=(3, *shape)).astype("float32")
        variable, part = keras.Variable(start), optimizer()
        for gradient in gradients:
            part.apply([tf.constant(gradient)], [variable])
        expected = by_hand(start, gradients, adapted=len(shape) > 1)
        self.assert_close(variable, expected, rtol=1e-5)

    def test_a_first_step_in_numbers(self):
        # |w| = 5, u = g + 0.1 w = (3.0, 4.0), |u| = 5, r = 0.01: a step of 0.5 r u.
        variable = keras.Variable([[3.0, 4.0]])
        optimizer().apply([tf.constant([[2.7, 3.6]])], [variable])
        self.assert_close(variable, [[2.985, 3.98]])

    def test_the_step_does_not_depend_on_the_scale_of_the_gradient(self):
        results = []
        for scale in (1.0, 1000.0):
            variable = keras.Variable(np.eye(2, dtype="float32"))
            gradient = tf.constant([[1.0, 2.0], [3.0, 4.0]])
            optimizer(l2_weight_decay=0.0).apply([scale * gradient], [variable])
            results.append(np.asarray(variable))
        self.assert_close(*results)

    @pytest.mark.parametrize("zero", ["weight", "gradient", "both"])
    def test_zero_norms(self, zero):
        weight = np.zeros((2, 2)) if zero in ("weight", "both") else np.eye(2)
        gradient = np.zeros((2, 2)) if zero in ("gradient", "both") else np.eye(2)
        variable = keras.Variable(weight.astype("float32"))
        optimizer(l2_weight_decay=0.0).apply(
            [tf.constant(gradient, "float32")], [variable]
        )
        expected = -RATE * np.eye(2) if zero == "weight" else weight
        self.assert_close(variable, expected)

    def test_exclusion(self):
        start = np.eye(2, dtype="float32")
        excluded = keras.Variable(start, name="gate_kernel")
        adapted = keras.Variable(start, name="kernel")
        gradient = tf.ones((2, 2))
        part = optimizer(exclude=["gate"])
        part.apply([gradient, gradient], [excluded, adapted])
        self.assert_close(excluded, start - RATE)
        assert np.max(np.abs(adapted - start)) < 0.05

    def test_biases_of_attention_are_excluded(self):
        layer = keras.layers.MultiHeadAttention(2, 3)
        layer.build((None, 4, 5), (None, 4, 5))
        variables = layer.trainable_variables
        start = [v.numpy() for v in variables]
        optimizer().apply([tf.ones(v.shape) for v in variables], variables)
        ranks = set()
        for variable, before in zip(variables, start, strict=True):
            moved = np.abs(variable - before)
            if variable.name == "bias":
                ranks.add(len(variable.shape))
                self.assert_close(moved, np.full(moved.shape, RATE))
            else:
                assert moved.max() < RATE / 2
        assert 2 in ranks

    def test_trains_a_layer_and_reloads(self, tmp_path):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(optimizer(trust_coefficient=0.1, learning_rate=1.0), "mse")
        x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        y = x[:, :2]
        before = model.evaluate(x, y, verbose=0)
        model.fit(x, y, epochs=20, verbose=0)
        assert model.evaluate(x, y, verbose=0) < before / 2
        path = str(tmp_path / "model.keras")
        model.save(path)
        reloaded = keras.saving.load_model(path)
        for m in (model, reloaded):
            m.train_on_batch(x, y)
        for a, b in zip(model.weights, reloaded.weights, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_config(self):
        arguments = {
            "learning_rate": 0.5,
            "momentum": 0.8,
            "l2_weight_decay": 0.01,
            "trust_coefficient": 0.02,
            "exclude": ["gate"],
        }
        rebuilt = self.run_config_test(LARS, arguments)
        assert rebuilt.weight_decay is None
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
        config = keras.optimizers.serialize(LARS(schedule))
        rebuilt = keras.optimizers.deserialize(config)
        self.assert_close(rebuilt.learning_rate, 0.1)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"momentum": 1.5},
            {"l2_weight_decay": -1},
            {"trust_coefficient": 0},
            {"exclude": "predictor"},
        ],
    )
    def test_refuses(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            LARS(**arguments)
