import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class RandomGrayscaleTest(TestCase):
    def test_gives_the_luminance_at_its_rate_and_keeps_the_others_exact(self):
        images = np.random.default_rng(0).random((4000, 2, 2, 3), dtype="float32")
        layer = augment.RandomGrayscale(probability=0.2)
        views = layer.augment(images, (0, 1)).numpy()
        grey = images @ np.array([0.299, 0.587, 0.114])
        greyed = np.abs(views - grey[..., None]).max(axis=(1, 2, 3)) < 1e-6
        kept = (views == images).all(axis=(1, 2, 3))
        assert (greyed ^ kept).all()
        assert abs(greyed.mean() - 0.2) < 0.03

    @pytest.mark.parametrize("channels", [1, 5])
    def test_other_channels_pass_unchanged_with_a_warning(self, channels):
        images = np.random.default_rng(0).random((4, 2, 2, channels), dtype="float32")
        with pytest.warns(UserWarning, match=f"RandomGrayscale.*{channels}"):
            views = augment.RandomGrayscale(probability=1.0).augment(images, (0, 1))
        self.assert_close(views, images, rtol=0, atol=0)

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 2, 3, 3), dtype="float32")
        arguments = {"probability": 0.5, "seed": 9}
        self.run_layer_test(augment.RandomGrayscale, arguments, images, tmp_path)

    def test_refuses_a_negative_probability(self):
        with pytest.raises(ValueError, match=r"`probability`.*-0\.5"):
            augment.RandomGrayscale(probability=-0.5)
