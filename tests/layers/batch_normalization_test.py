import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.layers.batch_normalization import BatchNormalization
from tests.layers.hessian import hessian_vector_error
from tests.test_case import TestCase

ARGUMENTS = dict(
    axis=1,
    momentum=0.8,
    epsilon=1e-2,
    center=False,
    scale=False,
    beta_initializer="ones",
    gamma_initializer="zeros",
    moving_mean_initializer="ones",
    moving_variance_initializer="zeros",
    beta_regularizer="l2",
    gamma_regularizer="l1",
    beta_constraint="max_norm",
    gamma_constraint="non_neg",
    renorm=True,
    renorm_clipping={"rmax": 3.0},
    renorm_momentum=0.9,
    synchronized=True,
)


def twins(shape, **arguments):
    """A stock and an exact layer with the same random weights."""
    rng = np.random.default_rng(3)
    stock = keras.layers.BatchNormalization(**arguments)
    exact = BatchNormalization(**arguments)
    stock.build(shape)
    exact.build(shape)
    stock.set_weights([rng.uniform(0.5, 2, w.shape) for w in stock.get_weights()])
    exact.set_weights(stock.get_weights())
    return stock, exact


class BatchNormalizationTest(TestCase):
    def test_config(self):
        # The constructor is the stock layer's, so every argument of it must survive.
        parameters = inspect.signature(keras.layers.BatchNormalization).parameters
        assert set(ARGUMENTS) == set(parameters) - {"kwargs"}
        layer = BatchNormalization(**ARGUMENTS)
        config = layer.get_config()
        stock = keras.layers.BatchNormalization(**ARGUMENTS, name=layer.name)
        assert config == stock.get_config()
        assert BatchNormalization.from_config(config).get_config() == config

    def test_saves_and_loads(self, tmp_path):
        inputs = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype("float32")
        model = keras.Sequential([keras.Input((3, 3, 2)), BatchNormalization()])
        model(inputs, training=True)
        model.save(tmp_path / "model.keras")
        reloaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(reloaded.layers[0]) is BatchNormalization
        self.assert_close(reloaded(inputs), model(inputs), atol=0, rtol=0)

    def test_weight_files_load_both_ways(self, tmp_path):
        stock, exact = twins((None, 3, 3, 2))
        images = keras.Input((3, 3, 2))
        stock_model = keras.Model(images, stock(images))
        exact_model = keras.Model(images, exact(images))
        inputs = np.random.default_rng(0).normal(size=(4, 3, 3, 2))
        for source, target in (
            (stock_model, exact_model),
            (exact_model, stock_model),
        ):
            source.save_weights(tmp_path / "w.weights.h5")
            target.set_weights([np.zeros(w.shape) for w in target.get_weights()])
            target.load_weights(tmp_path / "w.weights.h5")
            self.assert_close(target(inputs), source(inputs), atol=0, rtol=0)

    @pytest.mark.parametrize(
        ("shape", "arguments"),
        [
            ((8, 5, 5, 3), {}),
            ((8, 3, 5, 5), {"axis": 1}),
            ((8, 7), {"center": False, "momentum": 0.5}),
            ((8, 7), {"scale": False, "epsilon": 0.1}),
            ((8, 4, 1), {"renorm": True, "renorm_clipping": {"rmax": 2.0}}),
        ],
    )
    def test_equals_stock(self, shape, arguments):
        stock, exact = twins(shape, **arguments)
        x = np.random.default_rng(0).normal(2.0, 3.0, shape).astype("float32")
        for training in (True, False):
            outputs = exact(x, training=training)
            self.assert_close(outputs, stock(x, training=training), atol=2e-6)
        for a, b in zip(exact.variables, stock.variables, strict=True):
            assert a.name == b.name
            self.assert_close(a, b, atol=2e-6)

    def test_equals_stock_with_mask(self):
        stock, exact = twins((4, 6, 3))
        x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
        mask = np.random.default_rng(1).random((4, 6)) < 0.5
        expected = stock(x, training=True, mask=mask)
        self.assert_close(exact(x, training=True, mask=mask), expected, atol=1e-5)
        self.assert_close(exact.moving_mean, stock.moving_mean)
        self.assert_close(exact.moving_variance, stock.moving_variance)
        assert np.abs(np.asarray(exact(x, training=True) - expected)).max() > 1e-3

    def test_frozen_layer_uses_moving_statistics(self):
        _, exact = twins((8, 7))
        x = np.random.default_rng(0).normal(size=(8, 7)).astype("float32")
        exact.trainable = False
        self.assert_close(exact(x, training=True), exact(x, training=False))

    @pytest.mark.parametrize("arguments", [{}, {"axis": 1}, {"synchronized": True}])
    def test_second_derivative(self, float64, arguments):
        assert hessian_vector_error(BatchNormalization(**arguments)) < 1e-6

    def test_second_derivative_with_mask(self, float64):
        mask = tf.constant(np.random.default_rng(0).random((6, 6, 6)) < 0.7)
        error = hessian_vector_error(
            BatchNormalization(), call_arguments={"mask": mask}
        )
        assert error < 1e-6

    def test_second_derivative_of_the_stock_layer_is_wrong(self, float64):
        assert hessian_vector_error(keras.layers.BatchNormalization()) > 1e-2

    def test_synchronized_replicas_equal_one_device(self):
        x = np.random.default_rng(0).normal(2.0, 3.0, (8, 3)).astype("float32")
        _, single = twins((None, 3))
        expected = single(x, training=True)
        strategy = tf.distribute.MirroredStrategy(
            ["CPU:0", "CPU:1"],
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
        with strategy.scope():
            layer = twins((None, 3), synchronized=True)[1]

        def share(context):
            start = 4 * context.replica_id_in_sync_group
            return tf.constant(x[start : start + 4])

        shares = strategy.experimental_distribute_values_from_function(share)
        run = tf.function(lambda part: layer(part, training=True))
        outputs = strategy.experimental_local_results(strategy.run(run, (shares,)))
        self.assert_close(np.concatenate(outputs), expected, atol=1e-5)
        self.assert_close(layer.moving_mean, single.moving_mean, atol=1e-5)
        self.assert_close(layer.moving_variance, single.moving_variance, atol=1e-5)

    def test_half_precision_takes_moments_in_float32(self):
        layer = BatchNormalization(momentum=0.0, dtype="mixed_float16")
        x = np.full((4096, 1), 30.0) + np.arange(4096)[:, None] % 2
        outputs = layer(tf.constant(x, "float16"), training=True)
        assert outputs.dtype == "float16"
        # A float16 sum of 4096 values of 30 overflows.
        self.assert_close(layer.moving_mean, [30.5])
        self.assert_close(layer.moving_variance, [0.25])

    def test_gives_state_without_assigning_it(self):
        _, layer = twins((8, 3))
        before = layer.moving_mean.numpy()
        x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        _, state = layer.stateless_call(
            [v.value for v in layer.trainable_variables],
            [v.value for v in layer.non_trainable_variables],
            x,
            training=True,
        )
        self.assert_close(layer.moving_mean, before, atol=0, rtol=0)
        self.assert_close(state[0], 0.99 * before + 0.01 * x.mean(0), atol=1e-6)
