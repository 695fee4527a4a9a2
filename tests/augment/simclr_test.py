import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


def kinds(recipe):
    return [type(layer).__name__ for layer in recipe.layers]


class SimCLRTest(TestCase):
    def test_is_the_recipe_of_the_paper(self):
        crop, flip, jitter, grayscale, blur = augment.simclr(image_size=96).layers
        assert crop.area_range == (0.08, 1.0)
        assert crop.aspect_range == (3 / 4, 4 / 3)
        assert flip.probability == 0.5
        assert (jitter.brightness, jitter.contrast) == (0.8, 0.8)
        assert (jitter.saturation, jitter.hue) == (0.8, 0.2)
        assert jitter.probability == 0.8
        assert grayscale.probability == 0.2
        assert (blur.probability, blur.sigma) == (0.5, (0.1, 2.0))

    def test_strength_scales_the_jitter_alone(self):
        jitter = augment.simclr(image_size=32, strength=0.5).layers[2]
        assert (jitter.brightness, jitter.hue) == (0.4, 0.1)
        still = augment.simclr(image_size=32, strength=0.0)
        assert still.layers[2].saturation == 0.0

    def test_blur_depends_on_the_size_unless_asked(self):
        blur = "RandomGaussianBlur"
        assert blur not in kinds(augment.simclr(image_size=32))
        assert blur in kinds(augment.simclr(image_size=64))
        assert blur in kinds(augment.simclr(image_size=32, blur=True))
        assert blur not in kinds(augment.simclr(image_size=64, blur=False))

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("channels", [1, 5])
    def test_other_channels_leave_color_out_without_a_warning(self, channels):
        recipe = augment.simclr(
            image_size=8, channels=channels, interpolation="bicubic"
        )
        assert "RandomGrayscale" not in kinds(recipe)
        images = np.random.default_rng(0).random((4, 9, 9, channels))
        assert recipe.augment(images, (0, 1)).shape == (4, 8, 8, channels)

    def test_small_images_are_treated_mildly(self):
        crop, _, jitter, _ = augment.small_images(image_size=64).layers
        assert crop.area_range == (0.2, 1.0)
        assert jitter.brightness == 0.4

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"image_size": 0}, "`image_size`"),
            ({"image_size": 32, "channels": 0}, "`channels`"),
            ({"image_size": 32, "strength": -1}, "`strength`"),
            ({"image_size": 32, "strength": 3}, "`strength` must be at most 2.5"),
        ],
    )
    def test_refuses_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            augment.simclr(**arguments)
