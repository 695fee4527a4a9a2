import numpy as np

from keras_tc2 import augment
from tests.test_case import TestCase


class MedicalTest(TestCase):
    def test_keeps_images_upright_and_intensities_near(self):
        column = np.linspace(0.3, 0.6, 16)[:, None, None]
        images = np.broadcast_to(column, (200, 16, 16, 1))
        recipe = augment.medical(image_size=16)
        views = recipe.augment(images, (0, 1)).numpy()
        assert (views[:, -1] > views[:, 0]).all()
        ratios = views.mean(axis=(1, 2, 3)) / images.mean()
        assert ratios.min() > 0.6 and ratios.max() < 1.5

    def test_blurs_large_images_and_takes_16_bits(self):
        recipe = augment.medical(image_size=64)
        assert isinstance(recipe.layers[-1], augment.RandomGaussianBlur)
        views = recipe.augment(np.full((2, 70, 70, 1), 65535, np.uint16), (0, 1))
        assert views.shape == (2, 64, 64, 1)
