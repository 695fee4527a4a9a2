import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class SatelliteTest(TestCase):
    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("channels", [4, 12])
    def test_uses_every_direction_and_any_channels(self, channels):
        image = np.zeros((1, 8, 8, channels))
        image[:, 0, 0] = 0.5
        recipe = augment.satellite(image_size=8, channels=channels)
        directions = augment.Pipeline(recipe.layers[1:4])
        views = directions.augment(np.repeat(image, 200, axis=0), (0, 1)).numpy()
        corners = views[:, [0, 0, -1, -1], [0, -1, 0, -1], 0]
        assert (corners.sum(axis=1) == 0.5).all()
        assert (np.count_nonzero(corners, axis=0) > 25).all()
        assert recipe.augment(image, (0, 1)).shape == image.shape

    def test_blurs_large_images(self):
        recipe = augment.satellite(image_size=64)
        assert isinstance(recipe.layers[-1], augment.RandomGaussianBlur)
