import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


def recipes():
    flip = augment.RandomHorizontalFlip(probability=1.0, name="flip")
    return [flip, augment.Pipeline([augment.RandomResizedCrop(3)], name="crop")]


class ViewsTest(TestCase):
    def test_view_i_comes_from_recipe_i(self):
        images = np.random.default_rng(0).random((4, 5, 5, 3), dtype="float32")
        flipped, cropped = augment.Views(recipes()).augment(images, (0, 1))
        self.assert_close(flipped, images[:, :, ::-1], rtol=0, atol=0)
        assert cropped.shape == (4, 3, 3, 3)

    def test_equal_recipes_give_different_views(self):
        images = np.random.default_rng(0).random((4, 5, 5, 3), dtype="float32")
        crop = augment.RandomResizedCrop(5)
        view_1, view_2 = augment.Views([crop, crop]).augment(images, (0, 1))
        assert np.abs(view_1 - view_2).max() > 0.1

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 6, 6, 3), dtype="float32")
        arguments = {"recipes": recipes(), "seed": 9}
        self.run_layer_test(augment.Views, arguments, images, tmp_path)

    def test_refuses_what_is_no_list_of_augmentations(self):
        with pytest.raises(ValueError, match="`recipes` must be a non-empty list"):
            augment.Views([lambda x: x])
