"""What `keras_tc2.compat` relies on of Keras and TensorFlow, one test a use."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_tc2
from keras_tc2 import compat
from tests import replicas
from tests.test_case import TestCase

# Of other packages' objects; what begins with `self.` or `cls.` may be our own.
PRIVATE = re.compile(
    r"(?<![\w.])(?!self\.|cls\.|model\.|bilevel\.)\w+(?:\(\))?\._(?!_|keras_tc2)[a-z]\w+|"
    r"\.__class__ = |\.extended\.|keras\.src|tensorflow\.python|keras_cv\.src"
)
# Ours, on objects of our own.
OWN = ("super()._", "pretrainer._", "other._", "device_views._")


def images(shape=(8, 5, 5, 2)):
    return np.random.default_rng(0).normal(2.0, 3.0, shape).astype("float32")


class PrivateUsesTest(TestCase):
    def test_stand_in_compat_alone(self):
        root = pathlib.Path(keras_tc2.__file__).parent
        found = [
            f"{path.relative_to(root)}: {use.group()}"
            for path in sorted(root.rglob("*.py"))
            if path.name != "compat.py"
            for use in PRIVATE.finditer(path.read_text())
            if not use.group().startswith(OWN)
        ]
        assert not found


class OverridesTest(TestCase):
    def test_a_hook_that_is_gone(self):
        with pytest.raises(AttributeError, match="has no `_no_such_hook`"):

            class Layer(keras.layers.Layer):
                @compat.overrides(keras.layers.Layer, "_no_such_hook")
                def _no_such_hook(self):
                    pass

    def test_batch_normalization_asks_for_moments_in_training(self):
        calls = []

        class Watched(keras.layers.BatchNormalization):
            @compat.overrides(keras.layers.BatchNormalization, "_moments")
            def _moments(self, inputs, mask):
                calls.append(tuple(self._reduction_axes))
                return super()._moments(inputs, mask)

        layer = Watched()
        layer(images(), training=False)
        assert calls == []
        layer(images(), training=True)
        assert calls == [(0, 1, 2)]

    def test_fit_builds_by_the_hook(self):
        calls = []

        class Watched(keras.Sequential):
            @compat.overrides(keras.Model, "_maybe_symbolic_build")
            def _maybe_symbolic_build(self, iterator=None, data_batch=None):
                calls.append(iterator is None)

        model = Watched([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
        assert calls

    def test_a_dataset_is_asked_for_its_inputs(self):
        inner = tf.data.Dataset.range(3)

        class Same(tf.data.Dataset):
            def __init__(self):
                super().__init__(compat.variant_tensor(inner))

            @compat.overrides(tf.data.Dataset, "_inputs")
            def _inputs(self):
                return [inner]

            @property
            def element_spec(self):
                return inner.element_spec

        assert list(Same().repeat(2).as_numpy_iterator()) == [0, 1, 2, 0, 1, 2]


class UsesTest(TestCase):
    def test_all_layers(self):
        inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a")])
        inputs = keras.Input((4,))
        outer = keras.Model(inputs, keras.layers.Dense(2, name="b")(inner(inputs)))

        class Composed(keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.parts = [outer]

        found = compat.all_layers(Composed())
        assert {"a", "b"} <= {layer.name for layer in found}
        assert isinstance(found[0], Composed) and outer in found and inner in found

    def test_learned_variables(self):
        inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model = keras.Sequential(
            [inner, keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
        )
        expected = [id(v) for v in model.trainable_variables]
        assert len(expected) == 4
        for frozen in (model.layers[1], inner, model):
            frozen.trainable = False
            assert [id(v) for v in compat.learned_variables(model)] == expected
        frozen = keras.layers.Dense(2, trainable=False)
        frozen.build((None, 3))
        assert len(compat.learned_variables(frozen)) == 2

    def test_change_class(self):
        class Twice(keras.layers.Dense):
            def call(self, inputs):
                return 2 * super().call(inputs)

        layer = keras.layers.Dense(3)
        before = layer(images((4, 5)))
        compat.change_class(layer, Twice)
        self.assert_close(layer(images((4, 5))), 2 * before)
        iterator = iter(tf.data.Dataset.range(2))
        kind = type("Named", (type(iterator),), {})
        compat.change_class(iterator, kind)
        assert int(next(iterator)) == 0 and isinstance(iterator, kind)

    def test_variable_index(self):
        variables = [keras.Variable(np.ones(n)) for n in (2, 3)]
        optimizer = keras.optimizers.SGD()
        optimizer.build(variables)
        found = [compat.variable_index(optimizer, variable) for variable in variables]
        assert found == [0, 1]

    def test_adam_moments(self):
        variables = [keras.Variable(np.ones(n, "float32")) for n in (2, 3)]
        optimizer = keras.optimizers.Adam(0.1, beta_1=0.5, beta_2=0.75)
        optimizer.build(variables)
        optimizer.apply([np.full(n, 2.0, "float32") for n in (2, 3)], variables)
        momentum, velocity = compat.adam_moments(optimizer, variables[1])
        self.assert_close(momentum, [1.0] * 3)
        self.assert_close(velocity, [1.0] * 3)

    def test_set_epochs_done(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")

        class Before(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 2:
                    compat.set_epochs_done(self.model, 2)

        data = np.ones((4, 3)), np.ones((4, 1))
        history = model.fit(
            *data, initial_epoch=2, epochs=4, verbose=0, callbacks=[Before()]
        )
        assert history.epoch == [0, 1, 2, 3]

    def test_call_for_each_replica(self):
        strategy = replicas.mirrored(2)
        with strategy.scope():
            total = tf.Variable(0.0, aggregation=tf.VariableAggregation.SUM)

        def across(strategy, values):
            def on_replica(value):
                total.assign_add(value)

            compat.call_for_each_replica(strategy, on_replica, (values,))

        def step(value):
            tf.distribute.get_replica_context().merge_call(across, args=(value,))

        strategy.run(step, (replicas.per_replica(strategy, [1.0, 2.0]),))
        assert float(total.numpy()) == 3.0
