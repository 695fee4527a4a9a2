"""Views out of [0, 1] stop a run at its first step, whoever made them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data, recipes
from keras_tc2.layers import ProjectionHead
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import replicas, tiny
from tests.pretraining.bissl import tiny_bissl
from tests.test_case import TestCase

IMAGES = np.random.default_rng(0).integers(0, 256, (16, *tiny.IMAGE_SHAPE), "uint8")


def pretrainer(kind="ssl", **options):
    cls, arguments = {
        "ssl": (SSLPretrainer, {}),
        "tc2": (TC2Pretrainer, {"num_tasks": 2, **recipes.block_tasks()}),
    }[kind]
    model = cls(
        tiny.encoder(), objective="nt_xent", projector=ProjectionHead(4), **arguments
    )
    model.compile(keras.optimizers.SGD(0.1), **options)
    return model


def scaled(factor, view=0, number=1):
    """Batches whose first or second view is in another range."""
    batches = []
    for seed in range(number):
        views = list(tiny.views(8, seed))
        views[view] = views[view] * np.float32(factor)
        batches.append(views)
    first, second = (np.stack(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices((first, second))


MESSAGE = r"Views must be float in \[0, 1\]. `view_{}` has values from .* at step 0"


class ViewRangeTest(TestCase):
    @pytest.mark.parametrize("view", [0, 1])
    @pytest.mark.parametrize("kind", ["ssl", "tc2"])
    def test_floats_to_255(self, kind, view):
        model = pretrainer(kind, run_eagerly=kind == "tc2")
        before = model.get_weights()
        with pytest.raises(ValueError, match=MESSAGE.format(view + 1)):
            model.fit(scaled(255.0, view), verbose=0)
        for one, other in zip(before, model.encoder.get_weights(), strict=False):
            np.testing.assert_array_equal(one, other)

    def test_patience_is_not_for_these(self):
        model = SSLPretrainer(
            tiny.encoder(),
            objective="nt_xent",
            projector=ProjectionHead(4),
            nonfinite_patience=5,
        )
        model.compile("sgd")
        with pytest.raises(ValueError, match=MESSAGE.format(1)):
            model.fit(scaled(255.0), verbose=0)

    def test_the_range_is_told(self):
        least, most = (
            (np.float32(2.0) * tiny.views(8)[0]).min(),
            2 * np.max(tiny.views(8)[0]),
        )
        with pytest.raises(ValueError, match=f"{least:.4g} to {most:.4g}"):
            pretrainer().fit(scaled(2.0), verbose=0)

    @pytest.mark.parametrize(
        "augmentation",
        [
            lambda x: x * 255,
            keras.layers.RandomBrightness(0.5, seed=1),
            lambda x: x - 0.5,
        ],
        ids=["times 255", "brightness of 0 to 255", "standardized"],
    )
    def test_an_augmentation_that_leaves_the_range(self, augmentation):
        views = data.two_views(IMAGES, batch_size=8, augmentation=augmentation)
        with pytest.raises(ValueError, match=r"give it back: Keras's layers"):
            pretrainer().fit(views, verbose=0)

    @pytest.mark.parametrize("steps_per_execution", [1, 2])
    def test_rescaled_twice_is_said(self, steps_per_execution):
        layer = keras.layers.Rescaling(1 / 255)
        views = data.two_views(IMAGES, batch_size=8, augmentation=layer)
        model = pretrainer()
        model.compile("sgd", steps_per_execution=steps_per_execution)
        with pytest.warns(UserWarning, match=r"`view_1` is practically black"):
            model.fit(views, verbose=0)

    def test_on_replicas(self):
        with replicas.mirrored(2).scope():
            model = pretrainer("tc2")
        with pytest.raises(ValueError, match=MESSAGE.format(1)):
            model.fit(scaled(255.0), verbose=0)

    def test_bissl(self):
        model = tiny_bissl.compiled()
        views, labelled = tiny_bissl.batch()
        bad = (views[0] * 255, views[1])
        batch = tf.data.Dataset.from_tensors((bad, labelled)).repeat(3)
        with pytest.raises(ValueError, match=r"`view_1` has values"):
            model.fit(batch, verbose=0)

    @pytest.mark.parametrize("warmup_steps", [0, 1])
    def test_labelled_images_of_bissl(self, warmup_steps):
        model = tiny_bissl.compiled(
            warmup_steps=warmup_steps, lower_steps=1, solver="identity"
        )
        views, (images, labels) = tiny_bissl.batch()
        bad = (views, (images * np.float32(255), labels))
        before = model.upper_encoder.get_weights()
        with pytest.raises(ValueError, match=r"Labelled images must .* to 25\d.* step"):
            model.fit(tf.data.Dataset.from_tensors(bad).repeat(2), verbose=0)
        for a, b in zip(before, model.upper_encoder.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_labelled_images_of_an_encoder_with_a_range_of_its_own(self):
        encoder = tiny.encoder()
        encoder.value_range = (0.0, 255.0)
        model = tiny_bissl.compiled(encoder=encoder, run_eagerly=False)
        views, (images, labels) = tiny_bissl.batch()
        raw = np.round(images * 255)

        def data(images):
            return tf.data.Dataset.from_tensors((views, (images, labels)))

        model.fit(data(raw.astype("int32")), verbose=0)
        with pytest.raises(ValueError, match="raw integers"):
            model.evaluate(data(raw), verbose=0)

    def test_labelled_images_rescaled_twice(self):
        model = tiny_bissl.compiled()
        views, (images, labels) = tiny_bissl.batch()
        dark = (views, (images / np.float32(255), labels))
        with pytest.warns(UserWarning, match="All labelled images are practically"):
            model.fit(tf.data.Dataset.from_tensors(dark), verbose=0)

    @pytest.mark.parametrize("view", [0, 1])
    def test_validation(self, view):
        message = rf"`view_{view + 1}` has values .* in the data of `evaluate`"
        with pytest.raises(ValueError, match=message):
            pretrainer().fit(
                scaled(1.0), validation_data=scaled(255.0, view), verbose=0
            )

    def test_validation_of_bissl(self):
        model = tiny_bissl.compiled()
        views, (images, labels) = tiny_bissl.batch()
        for bad, message in (
            ((views, (images * np.float32(255), labels)), "Labelled images must"),
            (((views[0] * 255, views[1]), (images, labels)), "`view_1` has values"),
        ):
            with pytest.raises(ValueError, match=message):
                model.evaluate(tf.data.Dataset.from_tensors(bad), verbose=0)

    def test_black_views_are_views(self):
        black = tf.data.Dataset.from_tensors(
            tuple(np.zeros_like(view) for view in tiny.views(8))
        )
        pretrainer().fit(black, verbose=0)
