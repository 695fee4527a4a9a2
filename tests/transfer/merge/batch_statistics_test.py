import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.transfer import merge
from tests.test_case import TestCase
from tests.transfer.merge import networks


class BatchStatisticsTest(TestCase):
    def test_moments_of_all_images_whatever_the_batches(self):
        images = networks.images(10)
        dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(10)))
        for source, batch_size in ((images, 4), (images, 10), (dataset, 3)):
            model = networks.encoder()
            merge.reestimate_batch_statistics(model, source, batch_size=batch_size)
            maps = np.asarray(model.layers[0](images), "float64")
            layer = model.layers[1]
            self.assert_close(layer.moving_mean, maps.mean((0, 1, 2)), rtol=1e-5)
            self.assert_close(layer.moving_variance, maps.var((0, 1, 2)), rtol=1e-5)

    def test_layers_are_as_before(self):
        model = networks.encoder()
        model.layers[1].trainable = False
        before = model.get_weights()
        merge.reestimate_batch_statistics(model, networks.images())
        assert model.layers[1].momentum == 0.99 and not model.layers[1].trainable
        for variable, old in zip(model.weights, before, strict=True):
            is_moving = variable.name.startswith("moving")
            assert np.array_equal(np.asarray(variable), old) != is_moving

    def test_without_batch_normalisation_nothing_changes(self):
        model = networks.encoder(normalized=False)
        before = model.get_weights()
        merge.reestimate_batch_statistics(model, networks.images())
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_errors(self):
        with pytest.raises(ValueError, match="at least two images"):
            merge.reestimate_batch_statistics(networks.encoder(), networks.images(1))
        with pytest.raises(ValueError, match="batch_size"):
            merge.reestimate_batch_statistics(
                networks.encoder(), networks.images(), batch_size=0
            )

    def test_layers_inside_layers(self):
        inner = keras.Sequential([keras.layers.BatchNormalization()])
        model = keras.Sequential([keras.Input((6, 6, 1)), inner])
        images = networks.images() + 3
        merge.reestimate_batch_statistics(model, images)
        self.assert_close(inner.layers[0].moving_mean, [images.mean()], rtol=1e-5)
