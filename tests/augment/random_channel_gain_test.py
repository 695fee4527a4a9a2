import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class RandomChannelGainTest(TestCase):
    def test_every_channel_of_every_image_has_its_own_factor(self):
        images = np.random.default_rng(0).uniform(0.1, 0.5, (500, 2, 2, 5))
        views = augment.RandomChannelGain(gain=0.3).augment(images, (0, 1)).numpy()
        factors = views / images
        self.assert_close(factors, np.broadcast_to(factors[:, :1, :1], factors.shape))
        factors = factors[:, 0, 0]
        assert factors.min() >= 0.7 - 1e-6 and factors.max() <= 1.3 + 1e-6
        assert np.abs(factors.mean(axis=0) - 1).max() < 0.04
        assert np.abs(np.corrcoef(factors.T) - np.eye(5)).max() < 0.15

    def test_clips_at_one(self):
        views = augment.RandomChannelGain(gain=(3, 4)).augment(
            np.full((2, 2, 2, 4), 0.5), (0, 1)
        )
        self.assert_close(views, np.ones((2, 2, 2, 4)), rtol=0, atol=0)

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 2, 3, 4), dtype="float32")
        arguments = {"gain": 0.4, "seed": 9}
        self.run_layer_test(augment.RandomChannelGain, arguments, images, tmp_path)

    def test_refuses_a_negative_gain(self):
        with pytest.raises(ValueError, match=r"`gain`.*-0\.1"):
            augment.RandomChannelGain(gain=-0.1)
