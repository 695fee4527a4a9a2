import itertools
import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment
from keras_tc2.augment import color
from tests.test_case import TestCase

ALL = {"brightness": 0.4, "contrast": 0.5, "saturation": 0.6, "hue": 0.2}


@pytest.fixture
def images():
    return np.random.default_rng(0).random((64, 4, 4, 3), dtype="float32")


class RandomColorJitterTest(TestCase):
    def test_factors_fill_their_range(self):
        dark = np.full((4000, 1, 1, 3), 0.25, "float32")
        layer = augment.RandomColorJitter(brightness=0.4)
        factors = layer.augment(dark, (0, 1)).numpy()[:, 0, 0, 0] / 0.25
        deciles = np.linspace(0.1, 0.9, 9)
        error = np.quantile(factors, deciles) - (0.6 + 0.8 * deciles)
        assert np.abs(error).max() < 0.02
        assert factors.min() >= 0.6 - 1e-6 and factors.max() <= 1.4 + 1e-6

    def test_strong_factors_stop_at_zero_and_pairs_are_taken_as_they_are(self):
        dark = np.full((1000, 1, 1, 3), 0.1, "float32")
        strong = augment.RandomColorJitter(brightness=2.0)
        factors = strong.augment(dark, (0, 1)).numpy() / 0.1
        assert 0 <= factors.min() < 0.02 and 2.98 < factors.max() <= 3.0001
        pair = augment.RandomColorJitter(brightness=(0.5, 0.6))
        factors = pair.augment(dark, (0, 1)).numpy() / 0.1
        assert factors.min() >= 0.5 - 1e-6 and factors.max() <= 0.6 + 1e-6

    @pytest.mark.parametrize(
        ("name", "amount", "change"),
        [
            ("brightness", 0.7, color.scale_brightness),
            ("contrast", 1.6, color.scale_contrast),
            ("saturation", 0.3, color.scale_saturation),
            ("hue", -0.25, color.shift_hue),
        ],
    )
    def test_each_argument_does_its_own_change(self, images, name, amount, change):
        layer = augment.RandomColorJitter(**{name: (amount, amount)})
        expected = change(images, tf.fill(64, amount))
        self.assert_close(layer.augment(images, (0, 1)), expected)
        assert np.abs(expected - images).max() > 0.1

    def test_given_order_is_that_of_the_arguments(self, images):
        layer = augment.RandomColorJitter(**FIXED)
        expected = images
        for change, amount in AMOUNTS.items():
            expected = change(expected, tf.fill(64, amount))
        self.assert_close(layer.augment(images, (0, 1)), expected)

    def test_random_order_is_any_of_all_orders(self, images):
        same = np.broadcast_to(images[:1], (600, 4, 4, 3))
        layer = augment.RandomColorJitter(**FIXED, random_order=True)
        views = layer.augment(same, (0, 1)).numpy()
        counts = []
        for order in itertools.permutations(AMOUNTS):
            expected = images[:1]
            for change in order:
                expected = change(expected, tf.fill(1, AMOUNTS[change]))
            distances = np.abs(views - expected).max(axis=(1, 2, 3))
            counts.append((distances < 1e-5).sum())
        # Two orders may agree, so an image may count twice, but none may be missed.
        assert min(counts) >= 8
        assert sum(counts) >= 600

    def test_images_that_are_not_chosen_stay_exact(self, images):
        many = np.tile(images, (50, 1, 1, 1))
        layer = augment.RandomColorJitter(**ALL, probability=0.8)
        views = layer.augment(many, (0, 1)).numpy()
        kept = (views == many).all(axis=(1, 2, 3))
        assert abs(kept.mean() - 0.2) < 0.03

    def test_changes_draw_independently(self, images):
        """Adding hue leaves the brightness that the same seed draws."""
        dark = np.full((8, 1, 1, 3), 0.2, "float32")
        one = augment.RandomColorJitter(brightness=0.4).augment(dark, (3, 1))
        two = augment.RandomColorJitter(brightness=0.4, hue=0.2).augment(dark, (3, 1))
        self.assert_close(one, two)

    @pytest.mark.parametrize("channels", [1, 4])
    def test_other_channels_skip_color_and_say_so(self, channels):
        images = np.random.default_rng(0).random((8, 3, 3, channels), dtype="float32")
        with pytest.warns(UserWarning, match=f"3 channels.*skipped.*{channels}") as log:
            views = augment.RandomColorJitter(**ALL).augment(images, (0, 1))
        warned = " ".join(str(warning.message) for warning in log)
        assert "saturation" in warned and "hue" in warned
        intensity = augment.RandomColorJitter(brightness=0.4, contrast=0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assert_close(intensity.augment(images, (0, 1)), views)

    def test_without_changes_it_is_the_identity(self, images):
        views = augment.RandomColorJitter().augment(images, (0, 1))
        self.assert_close(views, images, rtol=0, atol=0)

    def test_serialization(self, images, tmp_path):
        arguments = {
            "brightness": 0.3,
            "contrast": (0.5, 0.9),
            "saturation": 0.2,
            "hue": (-0.1, 0.3),
            "probability": 0.7,
            "random_order": True,
            "seed": 5,
        }
        self.run_layer_test(augment.RandomColorJitter, arguments, images, tmp_path)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("brightness", -0.1, "`brightness` must be a finite number >= 0"),
            ("contrast", (2, 1), "`contrast`.*from <= to"),
            ("saturation", "strong", "`saturation`"),
            ("hue", 0.6, r"`hue`.*\[0, 0.5\]"),
            ("hue", (-0.6, 0.0), r"`hue`.*\[-0.5, 0.5\]"),
            ("probability", 2, "`probability`"),
        ],
    )
    def test_refuses_bad_arguments(self, name, value, message):
        with pytest.raises(ValueError, match=message):
            augment.RandomColorJitter(**{name: value})


AMOUNTS = {
    color.scale_brightness: 1.4,
    color.scale_contrast: 0.5,
    color.scale_saturation: 2.0,
    color.shift_hue: 0.2,
}
FIXED = {
    name: (amount, amount) for name, amount in zip(ALL, AMOUNTS.values(), strict=True)
}
