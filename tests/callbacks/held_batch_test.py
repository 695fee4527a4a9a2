"""Batches to look at, of every kind of source, while training goes on as it would."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data
from keras_tc2.callbacks.held_batch import held_batch
from tests.test_case import TestCase

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 1)).astype("uint8")
SOURCES = {
    "array": lambda: IMAGES,
    "dataset": lambda: tf.data.Dataset.from_tensor_slices(IMAGES),
    "dataset of unknown size": lambda: tf.data.Dataset.from_tensor_slices(
        IMAGES
    ).filter(lambda image: True),
}


class HeldBatchTest(TestCase):
    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_is_the_first_of_epoch_0_and_leaves_it_to_training(self, source, shuffle):
        def views():
            return data.two_views(
                SOURCES[source](), batch_size=4, seed=3, shuffle=shuffle
            )

        expected, _ = next(iter(views()))
        watched = views()
        for _ in range(2):
            held, _ = held_batch(watched)
            np.testing.assert_array_equal(held, expected)
        first, _ = next(iter(watched))
        np.testing.assert_array_equal(first, expected)
