import json

import keras
import numpy as np
import pytest

from keras_tc2 import augment
from tests.test_case import TestCase


def kinds(recipe):
    return {type(layer).__name__ for layer in recipe.layers}


def min_area(recipe):
    return recipe.layers[0].area_range[0]


class SimCLRTasksTest(TestCase):
    def test_grey_tasks_are_those_of_the_default(self):
        tasks = augment.simclr_tasks(image_size=28, channels=1)
        crop, flip, jitter = (
            "RandomResizedCrop",
            "RandomHorizontalFlip",
            "RandomColorJitter",
        )
        assert [min_area(task) for task in tasks] == [0.25, 0.25, 0.6, 0.25]
        expected = [{crop, flip, jitter}, {crop, jitter}, {crop, flip, jitter}, {crop}]
        assert [kinds(task) for task in tasks] == expected

    def test_color_tasks_keep_flip_jitter_and_greyscale(self):
        always = {"RandomHorizontalFlip", "RandomColorJitter", "RandomGrayscale"}
        tasks = augment.simclr_tasks(image_size=32, num_tasks=16)
        assert all(always < kinds(task) for task in tasks)
        settings = [
            (
                min_area(task) == 0.6,
                "RandomGaussianBlur" in kinds(task),
                "RandomSolarize" in kinds(task),
            )
            for task in tasks[:4]
        ]
        assert {min_area(task) for task in tasks[:4]} == {0.25, 0.6}
        for first in range(4):
            for second in range(first):
                different = np.not_equal(settings[first], settings[second])
                assert different.sum() == 2

    @pytest.mark.parametrize("channels", [1, 3, 12])
    def test_all_sixteen_differ_and_fewer_are_the_first(self, channels):
        arguments = {"image_size": 32, "channels": channels}
        tasks = augment.simclr_tasks(**arguments, num_tasks=16)
        texts = {str([min_area(t), sorted(kinds(t))]) for t in tasks}
        assert len(tasks) == len(texts) == 16
        fewer = augment.simclr_tasks(**arguments, num_tasks=5)
        assert [kinds(t) for t in fewer] == [kinds(t) for t in tasks[:5]]

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("channels", [1, 3, 12])
    def test_every_task_makes_views(self, channels):
        images = np.random.default_rng(0).random((3, 10, 10, channels))
        for task in augment.simclr_tasks(image_size=8, channels=channels):
            views = task.augment(images, (0, 1)).numpy()
            assert views.shape == (3, 8, 8, channels)
            assert views.min() >= 0 and views.max() <= 1

    def test_recipes_survive_json(self):
        for task in augment.simclr_tasks(image_size=8):
            config = keras.saving.serialize_keras_object(task)
            twin = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
            images = np.random.default_rng(0).random((3, 10, 10, 3))
            self.assert_close(
                twin.augment(images, (0, 1)), task.augment(images, (0, 1))
            )

    @pytest.mark.parametrize("num_tasks", [0, 1, 17, 2.5])
    def test_refuses_bad_numbers_of_tasks(self, num_tasks):
        with pytest.raises(ValueError, match=f"`num_tasks`.*num_tasks={num_tasks}"):
            augment.simclr_tasks(image_size=32, num_tasks=num_tasks)
