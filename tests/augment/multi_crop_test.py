import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class MultiCropTest(TestCase):
    def test_gives_two_global_and_some_local_views(self):
        recipe = augment.multi_crop(image_size=10, local_size=6, num_local=3)
        images = np.random.default_rng(0).random((2, 12, 12, 3))
        views = recipe.augment(images, (0, 1))
        assert [view.shape[1] for view in views] == [10, 10, 6, 6, 6]

    def test_areas_and_probabilities_are_those_of_the_paper(self):
        recipe = augment.multi_crop(image_size=96, local_size=64, num_local=1)
        by_kind = [{type(x).__name__: x for x in r.layers} for r in recipe.recipes]
        areas = [layers["RandomResizedCrop"].area_range for layers in by_kind]
        assert areas == [(0.4, 1.0), (0.4, 1.0), (0.05, 0.4)]
        blurs = [layers["RandomGaussianBlur"].probability for layers in by_kind]
        assert blurs == [1.0, 0.1, 0.5]
        assert ["RandomSolarize" in layers for layers in by_kind] == [
            False,
            True,
            False,
        ]

    def test_refuses_a_negative_number_of_local_views(self):
        with pytest.raises(ValueError, match="`num_local` must be an integer >= 0"):
            augment.multi_crop(image_size=32, local_size=16, num_local=-1)
