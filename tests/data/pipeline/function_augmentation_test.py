"""Functions and layers of others as augmentation: traced, called in Python, refused."""

import random

import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, data
from tests.data.pictures import noise
from tests.test_case import TestCase

IMAGES = noise((8, 6, 6, 3))


def views_of(augmentation):
    dataset = data.two_views(
        IMAGES, batch_size=8, augmentation=augmentation, shuffle=False
    )
    return dataset.element_spec[0].shape, next(dataset.as_numpy_iterator())


def without_bright(images):
    images[images > 0.5] = 0
    return images[:, ::2]


def fails_on_dark(images):
    if float(np.mean(images)) < 0.3:
        raise KeyError("dark")
    return np.asarray(images)


def halves_dark(images):
    dark = float(np.mean(images)) < 0.3
    return np.asarray(images)[:, :: 2 if dark else 1]


class FunctionAugmentationTest(TestCase):
    def test_of_arrays(self):
        shape, views = views_of(without_bright)
        assert shape == (8, 3, 6, 3)
        expected = np.where(IMAGES / 255 > 0.5, 0, IMAGES / 255)[:, ::2]
        for view in views:
            self.assert_close(view, expected)

    def test_of_eager_tensors(self):
        _, (view, _) = views_of(
            lambda images: tf.constant(images.numpy().clip(0.25, 0.5))
        )
        self.assert_close(view, np.clip(IMAGES / 255, 0.25, 0.5))

    @pytest.mark.parametrize(
        "draw",
        [random.random, np.random.random_sample, np.random.default_rng(0).random],
    )
    def test_draws_of_python_are_not_frozen(self, draw):
        states = random.getstate(), np.random.get_state()[1]
        dataset = data.two_views(
            IMAGES, batch_size=4, augmentation=lambda images: images * 0 + draw()
        )
        assert random.getstate() == states[0]
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])
        drawn = {float(view[0, 0, 0, 0]) for views in dataset for view in views}
        assert len(drawn) == 4

    def test_kerascv_layer_that_cannot_be_traced(self):
        layer = keras_cv.layers.RandAugment(value_range=(0, 1), seed=1)
        recipes = [augment.RandomResizedCrop(6), layer]
        shape, (view_1, view_2) = views_of(recipes)
        assert shape == view_1.shape == (8, 6, 6, 3)
        assert 0 <= view_1.min() <= view_1.max() <= 1
        assert not np.array_equal(view_1[4:], view_2[4:])

    def test_traced_where_possible(self):
        seen = []

        def flip(images):
            seen.append(tf.executing_eagerly())
            return images[:, :, ::-1]

        _, (view, _) = views_of(flip)
        self.assert_close(view, IMAGES[:, :, ::-1] / 255)
        assert not any(seen[-2:])


class RefusedTest(TestCase):
    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (lambda images: tf.cast(images, tf.uint8), "Received: uint8 of shape"),
            (lambda images: images[:3], r"shape \(3, 6, 6, 3\) for 8 images"),
            (lambda images: np.asarray(images)[:3], "for 8 images"),
            (lambda images: {"image": images}, "Received: dict from"),
            (lambda image: image.convert("L"), r"no attribute 'convert'.*np\.stack"),
        ],
    )
    def test_before_training(self, function, message):
        with pytest.raises(ValueError, match=message):
            data.two_views(IMAGES, batch_size=8, augmentation=function)

    def test_transforms_of_others(self):
        kind = type("Compose", (), {"__call__": lambda self, images: images})
        kind.__module__ = "albumentations.core.composition"
        with pytest.raises(ValueError, match=r"Compose.* of albumentations.*np\.stack"):
            data.two_views(IMAGES, batch_size=8, augmentation=kind())

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (fails_on_dark, "'fails_on_dark' failed: KeyError: 'dark'"),
            (halves_dark, r"one size.*\(8, 3, 6, 3\) after \(8, 6, 6, 3\)"),
        ],
    )
    def test_later(self, function, message):
        views = data.two_views(IMAGES // 8, batch_size=8, augmentation=function)
        with pytest.raises(data.ReadingError, match=message):
            next(iter(views))
