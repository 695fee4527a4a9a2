import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


def labels(figure):
    """The row labels, top to bottom."""
    return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]


def pictures(figure):
    return [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]


class ShowViewsTest(TestCase):
    def test_originals_above_views_below(self, tmp_path):
        images = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3), dtype=np.uint8)
        recipe = augment.RandomHorizontalFlip(probability=1.0)
        path = tmp_path / "views.png"
        figure = augment.show_views(images, recipe, num_images=3, path=path)
        assert path.read_bytes().startswith(b"\x89PNG")
        assert labels(figure) == ["original", "view 1", "view 2"]
        drawn = pictures(figure)
        assert len(drawn) == 9
        self.assert_close(drawn[:3], images[:3] / 255)
        self.assert_close(drawn[3:6], images[:3, :, ::-1] / 255)

    @pytest.mark.parametrize(
        ("channels", "drawn_shape", "title"),
        [
            (1, (6, 6), "1 channel, drawn grey"),
            (2, (6, 6), "the first drawn grey"),
            (3, (6, 6, 3), "red, green, blue"),
            (12, (6, 6, 3), "12 channels, the first three"),
        ],
    )
    def test_any_number_of_channels(self, channels, drawn_shape, title):
        images = np.random.default_rng(0).random((2, 6, 6, channels))
        figure = augment.show_views(images, augment.RandomSolarize())
        assert all(picture.shape == drawn_shape for picture in pictures(figure))
        assert title in figure.get_suptitle()

    def test_lists_are_tasks_and_views_are_views(self):
        images = np.random.default_rng(0).random((2, 6, 6, 3))
        tasks = augment.simclr_tasks(image_size=6, num_tasks=3)
        figure = augment.show_views(images, tasks)
        assert labels(figure) == ["original", "task 0", "task 1", "task 2"]
        views = augment.multi_crop(image_size=6, local_size=4, num_local=1)
        figure = augment.show_views(images, views)
        assert labels(figure)[1:] == [
            "view 1\nglobal_1",
            "view 2\nglobal_2",
            "view 3\nlocal_1",
        ]

    def test_a_list_of_views(self):
        images = np.random.default_rng(0).random((2, 6, 6, 3))
        figure = augment.show_views(images, 2 * [augment.byol(image_size=6)])
        expected = [f"task {task}\nview {view}" for task in (0, 1) for view in (1, 2)]
        assert labels(figure) == ["original", *expected]

    def test_one_seed_gives_one_picture(self):
        images = np.random.default_rng(0).random((2, 6, 6, 3))
        crop = augment.RandomResizedCrop(6)
        first = pictures(augment.show_views(images, crop, seed=1))
        self.assert_close(pictures(augment.show_views(images, crop, seed=1)), first)
        other = pictures(augment.show_views(images, crop, seed=2))
        assert np.abs(np.subtract(other, first)).max() > 0.1

    def test_refuses_no_images_and_what_is_no_augmentation(self):
        flip = augment.RandomHorizontalFlip()
        with pytest.raises(ValueError, match="at least one image"):
            augment.show_views(np.zeros((0, 6, 6, 3)), flip)
        with pytest.raises(ValueError, match="four axes"):
            augment.show_views(np.zeros((6, 6, 3)), flip)
        with pytest.raises(ValueError, match="`augmentation`"):
            augment.show_views(np.zeros((1, 6, 6, 3)), lambda x: x)
        with pytest.raises(ValueError, match="`num_images`"):
            augment.show_views(np.zeros((1, 6, 6, 3)), flip, num_images=0)
