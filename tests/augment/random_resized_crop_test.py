import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_tc2 import augment
from keras_tc2.augment.resampling import crop_and_resize, resize
from tests.test_case import TestCase


def cubic(t):
    """Keys's kernel with a = -0.5, as its paper writes it."""
    t, a = abs(t), -0.5
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    if t < 2:
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return 0.0


def sample(signal, position, kernel, width):
    """One value of a signal `(n, ...)` between its pixels, by a widened kernel."""
    weights = [kernel((position - pixel) / width) for pixel in range(len(signal))]
    return np.tensordot(np.array(weights) / np.sum(weights), signal, 1)


def resize_slowly(image, box, size, kernel):
    for start, extent, length in zip(box[:2], box[2:], size, strict=True):
        step = extent / length
        values = [
            sample(image, start + (i + 0.5) * step - 0.5, kernel, max(step, 1))
            for i in range(length)
        ]
        image = np.stack(values).swapaxes(0, 1)
    return image


def resize_by_pillow(image, box, size, resample):
    """Pillow's resampling in floats, which torchvision's antialiasing follows."""
    top, left, height, width = (float(number) for number in box)
    edges = (left, top, left + width, top + height)
    channels = [
        Image.fromarray(channel).resize(size[::-1], resample, box=edges)
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


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

    def test_aspect_is_width_over_height(self):
        crop = augment.RandomResizedCrop(
            4, area_range=(0.1, 0.3), aspect_range=(1.5, 2.0)
        )
        boxes = crop.boxes((500, 40, 40, 3), (0, 1)).numpy().astype("float64")
        aspect = boxes[:, 3] / boxes[:, 2]
        assert aspect.min() > 1.5 - 1e-6 and aspect.max() < 2 + 1e-6

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

    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
    @pytest.mark.parametrize("size", [(5, 6), (3, 20), (13, 20)])
    def test_the_whole_image_resizes_as_in_tensorflow(self, interpolation, size):
        images = np.random.default_rng(0).random((2, 7, 9, 3), dtype="float32")
        boxes = tf.constant([[0.0, 0.0, 7.0, 9.0]] * 2)
        expected = tf.image.resize(images, size, method=interpolation, antialias=True)
        actual = crop_and_resize(images, boxes, size, interpolation)
        self.assert_close(actual, np.clip(expected, 0, 1), atol=2e-6)
        if interpolation == "bilinear":
            self.assert_close(resize(images * 9, size), expected * 9, atol=2e-5)

    @pytest.mark.parametrize(
        ("interpolation", "resample"),
        [
            ("bilinear", Image.Resampling.BILINEAR),
            ("bicubic", Image.Resampling.BICUBIC),
        ],
    )
    def test_boxes_resize_as_in_pillow(self, interpolation, resample):
        images = np.random.default_rng(2).random((5, 40, 31, 2), dtype="float32")
        # Whole, shrinking, enlarging, shrinking along one axis, at two borders.
        boxes = np.float32(
            [
                (0, 0, 40, 31),
                (3.3, 1.7, 30.2, 27.9),
                (11.4, 9.2, 4.5, 3.3),
                (2.0, 20.5, 35.0, 4.25),
                (12.0, 0.0, 28.0, 31.0),
            ]
        )
        size = (6, 9)
        expected = [
            resize_by_pillow(image, box, size, resample).clip(0, 1)
            for image, box in zip(images, boxes, strict=True)
        ]
        actual = crop_and_resize(images, tf.constant(boxes), size, interpolation)
        self.assert_close(actual, np.stack(expected), atol=5e-6)

    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
    def test_shrinking_leaves_no_moire(self, interpolation):
        board = np.indices((256, 256)).sum(0) % 2
        images = np.repeat(board[None, :, :, None], 2, 0).astype("float32")
        boxes = tf.constant([[0.0, 0.0, 256.0, 256.0], [3.3, 5.1, 215.0, 190.0]])
        compiled = tf.function(crop_and_resize, jit_compile=True)
        views = compiled(tf.constant(images), boxes, (32, 32), interpolation).numpy()
        # Beyond the image half of the kernel is dropped.
        assert np.abs(views[:, 1:-1, 1:-1] - 0.5).max() < 0.01

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
