"""The checks that many tests share: serialization of a class, and its gradients."""

import inspect
import json

import keras
import numpy as np
import tensorflow as tf

# What Keras itself adds to every layer; their own tests cover them.
KERAS_ARGUMENTS = {"name", "dtype", "trainable", "kwargs", "args", "self"}


def _constructor_parameters(cls):
    """Every argument of the constructor, those of our own base classes included."""
    parameters = {}
    for base in cls.__mro__:
        if base.__module__.startswith("keras_tc2") and "__init__" in vars(base):
            own = inspect.signature(base.__init__).parameters
            parameters = {**own, **parameters}
            if "kwargs" not in own:
                break
    return {k: p for k, p in parameters.items() if k not in KERAS_ARGUMENTS}


def _as_json(config):
    return json.loads(json.dumps(config))


class TestCase:
    """Base of the test classes: `class NTXentTest(TestCase)`."""

    __test__ = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__test__ = True

    def assert_close(self, actual, expected, *, rtol=1e-6, atol=1e-6):
        np.testing.assert_allclose(
            np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol
        )

    def run_config_test(self, cls, arguments, *, apart=()):
        """Every argument of `cls`, at a non-default value, survives its config.

        `arguments` must name each constructor argument and differ from its default,
        so that an argument forgotten in `get_config` cannot hide; but those `apart`,
        which exclude the others, and which another call must name. Returns the object
        that was rebuilt from JSON through Keras's registry.
        """
        parameters = _constructor_parameters(cls)
        expected = set(parameters) - set(apart)
        assert set(arguments) == expected, (
            f"{cls.__name__}: arguments not tested: {expected - set(arguments)}, "
            f"unknown: {set(arguments) - expected}"
        )
        for key, value in arguments.items():
            default = parameters[key].default
            assert value is not default, f"{cls.__name__}: {key} is at its default"
            if isinstance(value, (int, float, str, bool, tuple, list, type(None))):
                assert value != default, f"{cls.__name__}: {key} is at its default"
        original = cls(**arguments)
        config = _as_json(keras.saving.serialize_keras_object(original))
        missing = expected - set(config["config"])
        assert not missing, f"{cls.__name__}.get_config() forgets {missing}"
        rebuilt = keras.saving.deserialize_keras_object(_as_json(config))
        assert type(rebuilt) is cls
        assert _as_json(keras.saving.serialize_keras_object(rebuilt)) == config
        for key, value in arguments.items():
            if isinstance(value, (int, float, str, bool)):
                assert original.get_config()[key] == value, key
        return rebuilt

    def run_layer_test(self, cls, arguments, inputs, folder, *, call_arguments=None):
        """`run_config_test`, then `.keras` and weights: outputs must be identical.

        Args:
            inputs: array, or dict of arrays by call argument.
            folder: a temporary folder.
            call_arguments: further keyword arguments of the call, such as `training`.
        """
        self.run_config_test(cls, arguments)
        call_arguments = call_arguments or {}
        names = list(inputs) if isinstance(inputs, dict) else [None]
        arrays = list(inputs.values()) if isinstance(inputs, dict) else [inputs]
        symbols = [
            keras.Input(a.shape[1:], batch_size=a.shape[0], dtype=str(a.dtype))
            for a in arrays
        ]
        layer = cls(**arguments)
        if isinstance(inputs, dict):
            outputs = layer(**dict(zip(names, symbols, strict=True)), **call_arguments)
        else:
            outputs = layer(symbols[0], **call_arguments)
        model = keras.Model(symbols, outputs)
        rng = np.random.default_rng(0)
        for variable in model.trainable_variables:
            noise = rng.normal(size=variable.shape) * 0.1
            variable.assign(variable + noise.astype(str(variable.dtype)))
        before = [np.asarray(y) for y in tf.nest.flatten(model(arrays))]
        path = str(folder / f"{cls.__name__}.keras")
        model.save(path)
        reloaded = keras.saving.load_model(path)
        after = [np.asarray(y) for y in tf.nest.flatten(reloaded(arrays))]
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a, b)
        return layer

    def check_gradients(
        self, function, variables, gradients, *, step=1e-6, rtol=1e-6, directions=3
    ):
        """Gradients against float64 central differences, variable by variable.

        `function()` gives the scalar at the current value of `variables`. Each
        variable is moved on its own along random unit directions, so a wrong sign or
        scale in one group cannot hide behind another.
        """
        rng = np.random.default_rng(7)
        scale = max(float(np.linalg.norm(np.asarray(g))) for g in gradients)
        assert scale > 0, "every gradient is zero: the check would prove nothing"
        for variable, gradient in zip(variables, gradients, strict=True):
            assert gradient is not None, f"no gradient for {variable.path}"
            value = np.asarray(variable)
            assert value.dtype == np.float64, f"{variable.path} is not float64"
            for _ in range(directions):
                direction = rng.normal(size=value.shape)
                direction /= np.linalg.norm(direction)
                variable.assign(value + step * direction)
                above = float(function())
                variable.assign(value - step * direction)
                below = float(function())
                variable.assign(value)
                numeric = (above - below) / (2 * step)
                exact = float(np.sum(np.asarray(gradient) * direction))
                error = abs(numeric - exact)
                assert error <= rtol * scale, (
                    f"{variable.path}: central difference {numeric}, gradient {exact}"
                )
