import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment
from tests.test_case import TestCase


def blur_slowly(image, sigma, radius):
    """Direct two-dimensional convolution of an image with reflected borders."""
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-(offsets**2) / (2.0 * sigma**2))
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    pad = [(radius, radius), (radius, radius), (0, 0)]
    padded = np.pad(image.astype("float64"), pad, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (2 * radius + 1, 2 * radius + 1), axis=(0, 1)
    )
    return np.einsum("hwcij,ij->hwc", windows, kernel)


class RandomGaussianBlurTest(TestCase):
    @pytest.mark.parametrize("channels", [1, 3, 5])
    @pytest.mark.parametrize(("kernel_size", "sigma"), [(3, 0.7), (7, 2.0), (13, 5.0)])
    def test_is_the_convolution_with_reflected_borders(
        self, kernel_size, sigma, channels
    ):
        images = np.random.default_rng(0).random((3, 7, 9, channels), dtype="float32")
        layer = augment.RandomGaussianBlur(
            sigma=(sigma, sigma), kernel_size=kernel_size, probability=1.0
        )
        expected = [blur_slowly(image, sigma, kernel_size // 2) for image in images]
        self.assert_close(layer.augment(images, (0, 1)), expected, atol=3e-6)

    def test_every_image_has_its_own_sigma_in_the_range(self):
        impulses = np.zeros((2000, 9, 9, 1), "float32")
        impulses[:, 4, 4] = 1.0
        layer = augment.RandomGaussianBlur(
            sigma=(0.5, 1.5), kernel_size=5, probability=1.0
        )
        views = layer.augment(impulses, (0, 1)).numpy()[..., 0].astype("float64")
        # Neighbours of the centre are exp(-1 / (2 sigma^2)) times as bright.
        sigmas = np.sqrt(-0.5 / np.log(views[:, 4, 5] / views[:, 4, 4]))
        deciles = np.linspace(0.1, 0.9, 9)
        assert np.abs(np.quantile(sigmas, deciles) - (0.5 + deciles)).max() < 0.04
        assert sigmas.min() > 0.5 - 1e-3 and sigmas.max() < 1.5 + 1e-3

    def test_blurs_at_its_rate_and_keeps_the_others_exact(self):
        images = np.random.default_rng(0).random((2000, 4, 4, 1), dtype="float32")
        layer = augment.RandomGaussianBlur(sigma=(1.0, 2.0), probability=0.3)
        kept = (layer.augment(images, (0, 1)).numpy() == images).all(axis=(1, 2, 3))
        assert abs(kept.mean() - 0.7) < 0.04

    @pytest.mark.parametrize(
        ("side", "kernel_size"), [(28, 3), (32, 3), (96, 9), (224, 23)]
    )
    def test_default_kernel_spans_a_tenth_of_the_height(self, side, kernel_size):
        impulse = np.zeros((1, side, side, 1), "float32")
        impulse[:, side // 2, side // 2] = 1.0
        layer = augment.RandomGaussianBlur(sigma=(50, 50), probability=1.0)
        view = layer.augment(impulse, (0, 1)).numpy()[0, side // 2, :, 0]
        assert np.count_nonzero(view) == kernel_size

    def test_a_narrow_sigma_is_the_identity(self):
        images = np.random.default_rng(0).random((4, 6, 6, 3), dtype="float32")
        layer = augment.RandomGaussianBlur(sigma=(1e-3, 1e-3), probability=1.0)
        self.assert_close(layer.augment(images, (0, 1)), images, atol=1e-7)

    def test_serialization(self, tmp_path):
        arguments = {
            "sigma": (0.2, 0.9),
            "kernel_size": 5,
            "probability": 0.9,
            "seed": 2,
        }
        images = np.random.default_rng(0).random((2, 6, 6, 3), dtype="float32")
        self.run_layer_test(augment.RandomGaussianBlur, arguments, images, tmp_path)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"sigma": (0.0, 1.0)}, "`sigma`"),
            ({"sigma": 1.0}, "`sigma` must be a pair"),
            ({"kernel_size": 4}, "must be odd.*kernel_size=4"),
            ({"kernel_size": 0}, "`kernel_size` must be an integer >= 1"),
            ({"probability": 1.1}, "`probability`"),
        ],
    )
    def test_refuses_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            augment.RandomGaussianBlur(**arguments)

    def test_refuses_images_too_small_or_of_unknown_size(self):
        layer = augment.RandomGaussianBlur(kernel_size=9)
        with pytest.raises(ValueError, match=r"at least 5 pixels.*height 4, width 8"):
            layer.augment(np.zeros((1, 4, 8, 3)), (0, 0))
        unknown = tf.TensorSpec((None, None, None, 3), tf.uint8)
        seed = tf.TensorSpec((2,), tf.int32)
        with pytest.raises(ValueError, match="known height and width"):
            tf.function(layer.augment).get_concrete_function(unknown, seed)
