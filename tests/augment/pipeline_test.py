import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment
from tests.test_case import TestCase


def layers():
    return [augment.RandomResizedCrop((4, 6)), augment.RandomSolarize(probability=0.7)]


class PipelineTest(TestCase):
    def test_applies_the_layers_in_order_with_seeds_of_their_own(self):
        images = np.random.default_rng(0).random((6, 8, 8, 3), dtype="float32")
        pipeline = augment.Pipeline(layers())
        expected = images
        for place, layer in enumerate(pipeline.layers):
            expected = layer.augment(expected, tf.random.fold_in((1, 2), place))
        self.assert_close(pipeline.augment(images, (1, 2)), expected, rtol=0, atol=0)
        assert pipeline.compute_output_shape((None, 8, 8, 3)) == (None, 4, 6, 3)

    def test_equal_layers_draw_differently(self):
        images = np.random.default_rng(0).random((200, 2, 2, 1), dtype="float32")
        flips = [augment.RandomHorizontalFlip(), augment.RandomHorizontalFlip()]
        views = augment.Pipeline(flips).augment(images, (1, 2)).numpy()
        kept = (views == images).all(axis=(1, 2, 3)).mean()
        assert 0.35 < kept < 0.65

    @pytest.mark.parametrize("made_for, given", [(1, 3), (3, 1), (4, 3)])
    def test_a_recipe_for_other_images_is_refused(self, made_for, given):
        images = np.zeros((8, 12, 12, given), np.uint8)
        size = {"image_size": 8, "channels": made_for}
        for recipe in (
            augment.simclr(**size),
            augment.small_images(**size),
            augment.byol(**size),
            augment.satellite(**size),
            augment.medical(**size),
            augment.multi_crop(**size, local_size=4, num_local=1),
            augment.simclr_tasks(**size)[0],
        ):
            with pytest.raises(ValueError, match=f"make it with `channels={given}`"):
                recipe.augment(images, (0, 0))
            recipe.augment(np.zeros((8, 12, 12, made_for), np.uint8), (0, 0))

    def test_a_guest_layer_needs_only_transform(self):
        class Invert(augment.ImageAugmentation):
            def transform(self, images, seed):
                return 1.0 - images

        pipeline = augment.Pipeline([Invert(), augment.RandomHorizontalFlip()])
        views = pipeline.augment(np.full((2, 3, 3, 1), 255, np.uint8), (0, 0))
        self.assert_close(views, np.zeros((2, 3, 3, 1)))

    def test_serialization(self, tmp_path):
        images = np.random.default_rng(0).random((5, 8, 8, 3), dtype="float32")
        arguments = {"layers": layers(), "channels": 3, "seed": 9}
        self.run_layer_test(augment.Pipeline, arguments, images, tmp_path)

    @pytest.mark.parametrize(
        "wrong",
        [[], None, [lambda x: x], augment.RandomGrayscale, [tf.keras.layers.ReLU()]],
    )
    def test_refuses_what_is_no_list_of_augmentations(self, wrong):
        with pytest.raises(ValueError, match="`layers` must be a non-empty list"):
            augment.Pipeline(wrong)
