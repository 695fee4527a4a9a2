import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment
from keras_tc2.augment.resampling import crop_and_resize
from tests.test_case import TestCase


def cubic(t):
    """Keys's kernel with a = -0.5, as its paper writes it."""
    t, a = abs(t), -0.5
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    if t < 2:
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return 0.0


def sample(signal, position, kernel):
    """One value of a signal `(n, ...)` between its pixels."""
    weights = np.array([kernel(position - pixel) for pixel in range(len(signal))])
    return np.tensordot(weights / weights.sum(), signal, 1)


def resize_slowly(image, box, size, kernel):
    top, left, height, width = box
    rows = [
        sample(image, top + (i + 0.5) * height / size[0] - 0.5, kernel)
        for i in range(size[0])
    ]
    turned = np.stack(rows).swapaxes(0, 1)
    columns = [
        sample(turned, left + (j + 0.5) * width / size[1] - 0.5, kernel)
        for j in range(size[1])
    ]
    return np.stack(columns).swapaxes(0, 1)


class RandomResizedCropTest(TestCase):
    def test_boxes_lie_in_the_image_and_keep_area_and_aspect(self):
        crop = augment.RandomResizedCrop(
            4, area_range=(0.2, 0.7), aspect_range=(0.5, 2.0)
        )
        boxes = crop.boxes((4000, 30, 40, 3), (0, 1)).numpy().astype("float64")
        top, left, height, width = boxes.T
        assert (top >= 0).all() and (left >= 0).all()
        assert (top + height <= 30 + 1e-4).all() and (left + width <= 40 + 1e-4).all()
        area, aspect = height * width / 1200, width / height
        assert area.min() >= 0.2 - 1e-6 and area.max() <= 0.7 + 1e-6
        assert aspect.min() >= 0.5 - 1e-6 and aspect.max() <= 2 + 1e-6
        assert area.min() < 0.21 and area.max() > 0.69
        assert aspect.min() < 0.53 and aspect.max() > 1.9

    def test_area_log_aspect_and_place_are_uniform(self):
        # Small boxes always fit, so that no draw is rejected.
        crop = augment.RandomResizedCrop(
            4, area_range=(0.1, 0.3), aspect_range=(0.5, 2.0)
        )
        boxes = crop.boxes((20000, 32, 32, 1), (3, 4)).numpy().astype("float64")
        top, left, height, width = boxes.T
        uniform = {
            "area": (height * width / 1024 - 0.1) / 0.2,
            "aspect": (np.log(width / height) - np.log(0.5)) / np.log(4),
            "top": top / (32 - height),
            "left": left / (32 - width),
        }
        deciles = np.linspace(0.1, 0.9, 9)
        for name, values in uniform.items():
            error = np.abs(np.quantile(values, deciles) - deciles).max()
            assert error < 0.015, name
        correlations = np.corrcoef(list(uniform.values())) - np.eye(4)
        assert np.abs(correlations).max() < 0.03

    def test_boxes_that_never_fit_become_the_trimmed_whole_image(self):
        crop = augment.RandomResizedCrop(4, area_range=(1, 1), aspect_range=(0.75, 1.2))
        boxes = crop.boxes((3, 20, 60, 3), (0, 0))
        self.assert_close(boxes, [[0, 18, 20, 24]] * 3, atol=1e-4)

    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
    def test_the_whole_image_at_its_size_is_the_image(self, interpolation):
        images = np.random.default_rng(0).random((3, 7, 7, 3), dtype="float32")
        crop = augment.RandomResizedCrop(
            7, area_range=(1, 1), aspect_range=(1, 1), interpolation=interpolation
        )
        self.assert_close(crop.augment(images, (0, 1)), images)

    @pytest.mark.parametrize(
        ("interpolation", "size"),
        [("bilinear", (5, 6)), ("bilinear", (13, 20)), ("bicubic", (13, 20))],
    )
    def test_the_whole_image_resizes_as_in_tensorflow(self, interpolation, size):
        images = np.random.default_rng(0).random((2, 7, 9, 3), dtype="float32")
        boxes = tf.constant([[0.0, 0.0, 7.0, 9.0]] * 2)
        # Antialiasing changes nothing when enlarging, but without it TensorFlow reads
        # the bicubic kernel from a coarse table.
        expected = tf.image.resize(
            images, size, method=interpolation, antialias=size > (7, 9)
        )
        actual = crop_and_resize(images, boxes, size, interpolation)
        self.assert_close(actual, np.clip(expected, 0, 1), atol=2e-6)

    @pytest.mark.parametrize(
        ("interpolation", "kernel"),
        [("bilinear", lambda t: max(0.0, 1 - abs(t))), ("bicubic", cubic)],
    )
    def test_views_are_the_boxes_resampled(self, interpolation, kernel):
        images = np.random.default_rng(1).random((6, 11, 8, 2))
        crop = augment.RandomResizedCrop((5, 9), interpolation=interpolation)
        boxes = crop.boxes(images.shape, (1, 2)).numpy()
        expected = [
            resize_slowly(image, box, (5, 9), kernel).clip(0, 1)
            for image, box in zip(images, boxes, strict=True)
        ]
        views = crop.augment(images, (1, 2))
        self.assert_close(views, np.stack(expected), atol=5e-6)

    def test_one_pixel_images_and_views(self):
        image = np.full((2, 1, 1, 3), 0.25, "float32")
        views = augment.RandomResizedCrop(4).augment(image, (0, 0))
        self.assert_close(views, np.full((2, 4, 4, 3), 0.25))
        image = np.full((2, 9, 9, 3), 0.25, "float32")
        views = augment.RandomResizedCrop(1).augment(image, (0, 0))
        self.assert_close(views, np.full((2, 1, 1, 3), 0.25))

    def test_serialization(self, tmp_path):
        arguments = {
            "size": (5, 4),
            "area_range": (0.3, 0.9),
            "aspect_range": (0.9, 1.1),
            "interpolation": "bicubic",
            "seed": 3,
        }
        images = np.random.default_rng(0).random((2, 6, 6, 3), dtype="float32")
        self.run_layer_test(augment.RandomResizedCrop, arguments, images, tmp_path)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"size": 0}, "`size` must be an integer >= 1.*size=0"),
            ({"size": (3, 4, 5)}, r"pair \(height, width\)"),
            ({"size": 4, "area_range": (0.0, 1.0)}, r"`area_range`.*\(0, 1\]"),
            ({"size": 4, "area_range": (0.5, 1.1)}, "`area_range`"),
            ({"size": 4, "area_range": (0.9, 0.5)}, "from <= to"),
            ({"size": 4, "area_range": 0.5}, "must be a pair"),
            ({"size": 4, "aspect_range": (0, 1)}, "`aspect_range`"),
            ({"size": 4, "aspect_range": (1, float("nan"))}, "`aspect_range`"),
            ({"size": 4, "interpolation": "nearest"}, "'bilinear', 'bicubic'"),
        ],
    )
    def test_refuses_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            augment.RandomResizedCrop(**arguments)
