import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


class RandomQuarterTurnTest(TestCase):
    def test_all_four_turns_are_exact_and_equally_likely(self):
        images = np.random.default_rng(0).random((4000, 3, 3, 2), dtype="float32")
        views = augment.RandomQuarterTurn().augment(images, (0, 1)).numpy()
        is_turn = [
            (views == np.rot90(images, k, axes=(1, 2))).all(axis=(1, 2, 3))
            for k in range(4)
        ]
        assert (np.sum(is_turn, axis=0) == 1).all()
        assert np.abs(np.mean(is_turn, axis=1) - 0.25).max() < 0.03

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 3, 3, 3), dtype="float32")
        self.run_layer_test(augment.RandomQuarterTurn, {"seed": 4}, images, tmp_path)

    def test_refuses_images_that_are_not_square(self):
        with pytest.raises(ValueError, match=r"square images.*height 3, width 4"):
            augment.RandomQuarterTurn().augment(np.zeros((1, 3, 4, 3)), (0, 0))
