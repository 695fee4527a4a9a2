import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class RandomSolarizeTest(TestCase):
    def test_inverts_from_the_threshold_on(self):
        images = np.float32([0.0, 0.25, 0.49, 0.5, 0.75, 1.0]).reshape(1, 2, 1, 3)
        views = augment.RandomSolarize(probability=1.0).augment(images, (0, 1))
        expected = np.float32([0.0, 0.25, 0.49, 0.5, 0.25, 0.0]).reshape(1, 2, 1, 3)
        self.assert_close(views, expected, rtol=0, atol=0)
        views = augment.RandomSolarize(threshold=0.25, probability=1.0).augment(
            images, (0, 1)
        )
        expected = np.float32([0.0, 0.75, 0.51, 0.5, 0.25, 0.0]).reshape(1, 2, 1, 3)
        self.assert_close(views, expected)

    def test_chooses_images_at_its_rate(self):
        images = np.ones((4000, 1, 2, 3), "float32")
        views = augment.RandomSolarize(probability=0.2).augment(images, (0, 1)).numpy()
        rates = views.reshape(4000, -1)
        assert np.isin(rates.mean(axis=1), [0, 1]).all()
        assert abs((rates[:, 0] == 0).mean() - 0.2) < 0.03

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 2, 3, 3), dtype="float32")
        arguments = {"threshold": 0.3, "probability": 0.6, "seed": 9}
        self.run_layer_test(augment.RandomSolarize, arguments, images, tmp_path)

    @pytest.mark.parametrize("name", ["threshold", "probability"])
    def test_refuses_values_above_one(self, name):
        with pytest.raises(ValueError, match=f"`{name}`.*128"):
            augment.RandomSolarize(**{name: 128})
