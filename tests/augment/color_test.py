import colorsys

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.augment import color
from tests.test_case import TestCase

WEIGHTS = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def images():
    images = np.random.default_rng(0).random((6, 5, 4, 3), dtype="float32")
    # Black, white, grey and the six pure colours, where the hue jumps.
    corners = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    corners += [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    images[:, 0, :3] = corners[:3]
    images[:, 1, :3] = corners[3:6]
    images[:, 2, :3] = corners[6:]
    return images


FACTORS = np.float32([0.0, 0.4, 1.0, 1.3, 2.0, 5.0])


class ColorTest(TestCase):
    def test_brightness_blends_with_black(self, images):
        expected = [np.clip(f * x, 0, 1) for f, x in zip(FACTORS, images, strict=True)]
        self.assert_close(color.scale_brightness(images, FACTORS), expected)

    def test_contrast_blends_with_the_mean_luminance(self, images):
        expected = [
            np.clip(f * x + (1 - f) * (x @ WEIGHTS).mean(), 0, 1)
            for f, x in zip(FACTORS, images, strict=True)
        ]
        self.assert_close(color.scale_contrast(images, FACTORS), expected, atol=3e-6)

    @pytest.mark.parametrize("channels", [1, 2, 5])
    def test_contrast_of_other_channels_blends_with_their_mean(self, channels):
        images = np.random.default_rng(0).random((6, 5, 4, channels), dtype="float32")
        expected = [
            np.clip(f * x + (1 - f) * x.mean(), 0, 1)
            for f, x in zip(FACTORS, images, strict=True)
        ]
        self.assert_close(color.scale_contrast(images, FACTORS), expected, atol=3e-6)

    def test_saturation_blends_with_the_luminance_of_each_pixel(self, images):
        expected = [
            np.clip(f * x + (1 - f) * (x @ WEIGHTS)[..., None], 0, 1)
            for f, x in zip(FACTORS, images, strict=True)
        ]
        self.assert_close(color.scale_saturation(images, FACTORS), expected, atol=3e-6)

    def test_neutral_amounts_change_nothing(self, images):
        ones, zeros = tf.ones(6), tf.zeros(6)
        self.assert_close(color.scale_brightness(images, ones), images, atol=0)
        self.assert_close(color.scale_contrast(images, ones), images, atol=0)
        self.assert_close(color.scale_saturation(images, ones), images, atol=0)
        self.assert_close(color.shift_hue(images, zeros), images, atol=2e-6)

    def test_hue_turns_as_in_colorsys(self, images):
        shifts = np.float32([-0.5, -0.2, -0.01, 0.1, 0.3, 0.5])
        expected = np.empty(images.shape)
        for index, shift in enumerate(shifts):
            for place in np.ndindex(images.shape[1:3]):
                hue, *rest = colorsys.rgb_to_hsv(
                    *images[index][place].astype("float64")
                )
                turned = (hue + float(shift)) % 1.0
                expected[index][place] = colorsys.hsv_to_rgb(turned, *rest)
        self.assert_close(color.shift_hue(images, shifts), expected, atol=5e-6)

    def test_hue_turns_there_and_back(self, images):
        shifts = np.float32([-0.5, -0.2, -0.01, 0.1, 0.3, 0.5])
        there = color.shift_hue(images, shifts)
        assert np.abs(there - images).max() > 0.5
        self.assert_close(color.shift_hue(there, -shifts), images, atol=5e-6)
