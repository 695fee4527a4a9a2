import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import optimizers
from tests import replicas
from tests.test_case import TestCase

PAIRS = {
    "Adam": (optimizers.FusedAdam, keras.optimizers.Adam, {"epsilon": 1e-3}),
    "AdamW": (
        optimizers.FusedAdamW,
        keras.optimizers.AdamW,
        {"weight_decay": 0.1, "beta_2": 0.9},
    ),
    "amsgrad": (optimizers.FusedAdam, keras.optimizers.Adam, {"amsgrad": True}),
}


def new_variables(dtype="float32"):
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=shape), dtype=dtype, name=name)
        for name, shape in {"a": (3, 2), "b": (4,)}.items()
    ]


def steps(optimizer, variables, number=5):
    rng = np.random.default_rng(1)
    for _ in range(number):
        gradients = [
            tf.constant(rng.normal(size=v.shape), str(v.dtype)) for v in variables
        ]
        optimizer.apply(gradients, variables)


def schedule():
    return keras.optimizers.schedules.CosineDecay(0.1, 10)


class FusedAdamTest(TestCase):
    @pytest.mark.parametrize("name", list(PAIRS))
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_moves_as_keras_does(self, name, dtype):
        fused, keras_own, arguments = PAIRS[name]
        found, expected = new_variables(dtype), new_variables(dtype)
        of = []
        for cls, variables in ((fused, found), (keras_own, expected)):
            optimizer = cls(schedule(), clipnorm=2.0, **arguments)
            optimizer.build(variables)
            steps(optimizer, variables)
            of.append(optimizer)
        for a, b in zip(found, expected, strict=True):
            self.assert_close(a, b, rtol=1e-5)
        for a, b in zip(*(x.variables for x in of), strict=True):
            assert a.path.split("/")[-1] == b.path.split("/")[-1]
            self.assert_close(a, b, rtol=1e-5)

    def test_first_step_by_hand(self):
        (variable,) = [keras.Variable([1.0, -2.0])]
        optimizer = optimizers.FusedAdam(0.5, epsilon=0.25)
        optimizer.build([variable])
        gradient = np.array([3.0, -1.0])
        optimizer.apply([tf.constant(gradient, "float32")], [variable])
        # Corrected for their start, the moments are g and g²; Keras's ε is before that.
        size = np.sqrt(0.001) * np.abs(gradient)
        moved = 0.5 * np.sqrt(0.001) / 0.1 * 0.1 * gradient / (size + 0.25)
        self.assert_close(variable, np.array([1.0, -2.0]) - moved, rtol=1e-5)

    def test_sparse_gradients(self):
        found, expected = new_variables()[:1], new_variables()[:1]
        rows = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
        for cls, variables in (
            (optimizers.FusedAdam, found),
            (keras.optimizers.Adam, expected),
        ):
            optimizer = cls(0.1)
            optimizer.build(variables)
            optimizer.apply([rows], variables)
        self.assert_close(found[0], expected[0])

    @pytest.mark.parametrize("num_replicas", [1, 2])
    @pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
    def test_in_fit(self, num_replicas, policy):
        histories = []
        x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
        y = x[:, :1] ** 2
        for cls in (optimizers.FusedAdamW, keras.optimizers.AdamW):
            with replicas.strategy(num_replicas).scope():
                keras.utils.set_random_seed(0)
                model = keras.Sequential(
                    [
                        keras.Input((4,)),
                        keras.layers.Dense(8, "relu", dtype=policy),
                        keras.layers.Dense(1, dtype="float32"),
                    ]
                )
                # Keras accumulates on one replica alone.
                accumulated = 2 if num_replicas == 1 else None
                optimizer = cls(0.01, gradient_accumulation_steps=accumulated)
                if policy == "mixed_float16":
                    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
                model.compile(optimizer, "mse")
            fit = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
            histories.append(fit.history["loss"])
        assert histories[0][-1] < histories[0][0]
        self.assert_close(*histories, rtol=1e-3)

    def test_fewer_operations(self):
        def operations(cls):
            variables = new_variables()
            optimizer = cls(0.1)
            optimizer.build(variables)
            gradients = [tf.ones(v.shape) for v in variables]
            step = tf.function(lambda: optimizer.apply(gradients, variables))
            return len(step.get_concrete_function().graph.get_operations())

        fused, keras_own = map(
            operations, (optimizers.FusedAdam, keras.optimizers.Adam)
        )
        assert fused < keras_own

    @pytest.mark.parametrize("name", list(PAIRS))
    def test_config(self, name):
        fused, _, arguments = PAIRS[name]
        optimizer = fused(0.3, **arguments)
        again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        assert type(again) is fused
        for key, value in arguments.items():
            assert getattr(again, key) == value
