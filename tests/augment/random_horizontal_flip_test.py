import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class RandomHorizontalFlipTest(TestCase):
    def test_mirrors_columns_exactly_at_its_rate(self):
        images = np.random.default_rng(0).random((4000, 2, 3, 1), dtype="float32")
        views = augment.RandomHorizontalFlip(probability=0.3).augment(images, (0, 1))
        views = views.numpy()
        flipped = (views == images[:, :, ::-1]).all(axis=(1, 2, 3))
        kept = (views == images).all(axis=(1, 2, 3))
        assert (flipped ^ kept).all()
        assert abs(flipped.mean() - 0.3) < 0.03

    @pytest.mark.parametrize("probability", [0.0, 1.0])
    def test_never_and_always(self, probability):
        images = np.random.default_rng(0).random((50, 2, 3, 4), dtype="float32")
        layer = augment.RandomHorizontalFlip(probability=probability)
        expected = images[:, :, ::-1] if probability else images
        self.assert_close(layer.augment(images, (0, 1)), expected, rtol=0, atol=0)

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 2, 3, 3), dtype="float32")
        arguments = {"probability": 0.25, "seed": 9}
        self.run_layer_test(augment.RandomHorizontalFlip, arguments, images, tmp_path)

    def test_refuses_a_probability_above_one(self):
        with pytest.raises(ValueError, match=r"`probability`.*1\.5"):
            augment.RandomHorizontalFlip(probability=1.5)
