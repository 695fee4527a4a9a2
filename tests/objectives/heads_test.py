"""The layers that objectives bring: prototypes, centring, the patch decoder."""

import keras
import numpy as np
import pytest

from keras_tc2.objectives.centring import Centring
from keras_tc2.objectives.patch_decoder import PatchDecoder
from keras_tc2.objectives.prototypes import Prototypes
from tests.objectives import loss_checks
from tests.test_case import TestCase


class PrototypesTest(TestCase):
    def test_cosines(self):
        layer = Prototypes(3)
        (embeddings,) = loss_checks.arrays(1, dtype="float32")
        scores = layer(embeddings)
        expected = loss_checks.cosines(embeddings, np.asarray(layer.prototypes))
        self.assert_close(scores, expected, atol=1e-5)
        layer.prototypes.assign(7 * layer.prototypes)
        self.assert_close(layer(3 * embeddings), expected, atol=1e-5)

    def test_layer(self, tmp_path):
        (embeddings,) = loss_checks.arrays(1, dtype="float32")
        self.run_layer_test(Prototypes, {"num_prototypes": 3}, embeddings, tmp_path)

    def test_refuses(self):
        with pytest.raises(ValueError, match="`num_prototypes` must be an integer"):
            Prototypes(0)


class CentringTest(TestCase):
    def test_centres_by_what_came_before(self):
        layer = Centring(0.9)
        first, second = loss_checks.arrays(2, dtype="float32")
        self.assert_close(layer(first, training=True), first)
        centre = 0.1 * first.mean(axis=0)
        self.assert_close(layer.centre, centre)
        self.assert_close(layer(second, training=False), second - centre)
        self.assert_close(layer.centre, centre)
        self.assert_close(layer(second, training=True), second - centre)
        self.assert_close(layer.centre, 0.9 * centre + 0.1 * second.mean(axis=0))
        assert layer.trainable_variables == []

    def test_layer(self, tmp_path):
        (outputs,) = loss_checks.arrays(1, dtype="float32")
        self.run_layer_test(Centring, {"momentum": 0.5}, outputs, tmp_path)


class PatchDecoderTest(TestCase):
    def test_places_patches_in_reading_order(self):
        layer = PatchDecoder((4, 5, 2), patch_size=2, hidden_dim=3)
        (embeddings,) = loss_checks.arrays(1, batch=2, dtype="float32")
        images = np.asarray(layer(embeddings))
        assert images.shape == (2, 4, 5, 2)
        places, hidden = np.asarray(layer.places), np.asarray(layer.hidden.kernel)
        kernel, bias = (np.asarray(v) for v in layer.pixels.variables)
        assert len(places) == 6
        for place, (row, column) in enumerate(np.ndindex(2, 3)):
            activations = np.maximum(0, embeddings @ hidden + places[place])
            patch = (activations @ kernel + bias).reshape(2, 2, 2, 2)
            width = min(2, 5 - 2 * column)
            actual = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            self.assert_close(actual, patch[:, :, :width], atol=1e-5)

    def test_layer(self, tmp_path):
        arguments = {"image_shape": (4, 4, 1), "patch_size": 2, "hidden_dim": 3}
        (embeddings,) = loss_checks.arrays(1, dtype="float32")
        self.run_layer_test(PatchDecoder, arguments, embeddings, tmp_path)

    def test_half_precision(self):
        keras.config.set_dtype_policy("mixed_float16")
        layer = PatchDecoder((4, 4, 1), patch_size=2, hidden_dim=3)
        (embeddings,) = loss_checks.arrays(1, dtype="float32")
        assert layer(embeddings).dtype == "float16"
