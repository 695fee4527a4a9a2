"""One replica of a strategy is no strategy, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import replicas, tiny
from tests.pretraining.bissl import tiny_bissl
from tests.test_case import TestCase

# The default constructors, and several workers, need processes of their own: the
# example scripts are run with them.
STRATEGIES = {
    "mirrored": lambda: replicas.mirrored(1),
    "one_device": lambda: tf.distribute.OneDeviceStrategy("CPU:0"),
}


def ssl():
    model = SSLPretrainer(
        tiny.encoder(),
        objective="nt_xent",
        projector=layers.ProjectionHead(4, hidden_dim=5),
        nonfinite_patience=1,
    )
    return _compiled(model)


def tc2(inner_scope):
    model = TC2Pretrainer(
        tiny.encoder(),
        objective="byol",
        projector=layers.ProjectionHead(4, hidden_dim=5),
        inner_scope=inner_scope,
        inner_learning_rate=0.01,
        nonfinite_patience=1,
        **tiny.WHOLE_TC2,
    )
    return _compiled(model, calibrator_optimizer=keras.optimizers.SGD(0.1))


def _compiled(model, **arguments):
    model.compile(keras.optimizers.Adam(0.01), **arguments)
    return model


def bissl():
    return tiny_bissl.compiled(run_eagerly=False)


def views():
    """Three steps, the second of which has to be skipped."""
    batches = [tiny.views(8, seed) for seed in range(3)]
    batches[1][0][0] = np.nan
    parts = tuple(np.stack(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices(parts)


def zipped():
    """Warm-up, lower, lower and upper steps."""
    batches = [tiny_bissl.batch(seed) for seed in range(4)]
    stacked = keras.tree.map_structure(lambda *parts: np.stack(parts), *batches)
    return tf.data.Dataset.from_tensor_slices(stacked)


BUILDERS = {
    "ssl": (ssl, views),
    "projector": (lambda: tc2("projector"), views),
    "encoder": (lambda: tc2("encoder"), views),
    "bissl": (bissl, zipped),
}


def slow(*case):
    """Traced twice, which takes half a minute under load; the others cover the path."""
    return pytest.param(*case, marks=pytest.mark.slow)


class OneReplicaTest(TestCase):
    @pytest.mark.parametrize(
        ("kind", "strategy", "policy"),
        [
            slow("ssl", "mirrored", "float32"),
            ("ssl", "mirrored", "mixed_float16"),
            ("ssl", "one_device", "float32"),
            slow("projector", "mirrored", "float32"),
            ("projector", "mirrored", "mixed_float16"),
            ("bissl", "mirrored", "float32"),
            slow("projector", "one_device", "float32"),
            slow("encoder", "mirrored", "float32"),
            slow("encoder", "mirrored", "mixed_float16"),
            slow("encoder", "one_device", "float32"),
            slow("bissl", "one_device", "float32"),
        ],
    )
    def test_equals_no_strategy(self, kind, strategy, policy):
        keras.config.set_dtype_policy(policy)
        build, data = BUILDERS[kind]
        keras.utils.set_random_seed(3)
        expected = build()
        keras.utils.set_random_seed(3)
        with STRATEGIES[strategy]().scope():
            actual = build()
        actual.set_weights(expected.get_weights())
        histories = [m.fit(data(), verbose=0).history for m in (expected, actual)]
        assert histories[0] == histories[1]
        if kind != "bissl":
            assert histories[0]["skipped_updates"] == [1]
        for a, b in zip(expected.get_weights(), actual.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(
            expected.optimizer.variables, actual.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
