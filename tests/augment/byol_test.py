import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


def layers_by_kind(recipe):
    return {type(layer).__name__: layer for layer in recipe.layers}


class BYOLTest(TestCase):
    def test_views_differ_in_blur_and_solarisation_as_in_the_paper(self):
        first, second = map(layers_by_kind, augment.byol(image_size=64).recipes)
        assert first["RandomGaussianBlur"].probability == 1.0
        assert second["RandomGaussianBlur"].probability == 0.1
        assert "RandomSolarize" not in first
        assert second["RandomSolarize"].probability == 0.2
        for recipe in (first, second):
            jitter = recipe["RandomColorJitter"]
            assert (jitter.brightness, jitter.contrast) == (0.4, 0.4)
            assert (jitter.saturation, jitter.hue) == (0.2, 0.1)

    def test_small_grey_images(self):
        images = np.random.default_rng(0).random((4, 28, 28, 1))
        views = augment.byol(image_size=28, channels=1).augment(images, (0, 1))
        assert [view.shape for view in views] == [(4, 28, 28, 1)] * 2

    def test_refuses_a_bad_size(self):
        with pytest.raises(ValueError, match="`image_size`"):
            augment.byol(image_size=-1)
