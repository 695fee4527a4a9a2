import numpy as np
import tensorflow as tf

from keras_tc2.pretraining.core.forward import resize_to_fit
from tests.test_case import TestCase


class ResizeToFitTest(TestCase):
    def test_a_view_of_the_encoders_size_or_of_a_free_size_is_left_alone(self):
        view = tf.zeros((2, 6, 6, 3))
        assert resize_to_fit(view, (6, 6, 3)) is view
        assert resize_to_fit(view, (None, None, 3)) is view

    def test_resizes_as_tensorflow_does_with_antialiasing(self):
        view = np.random.default_rng(0).normal(size=(2, 9, 12, 3)).astype("float32")
        for size in ((4, 5), (20, 16), (12, 6)):
            expected = tf.image.resize(view, size, antialias=True)
            # Keras compiles training steps by XLA.
            compiled = tf.function(resize_to_fit, jit_compile=True)
            actual = compiled(tf.constant(view), (*size, 3))
            self.assert_close(actual, expected, atol=5e-6)

    def test_keeps_the_type(self):
        view = tf.ones((1, 8, 8, 3), "float16")
        small = resize_to_fit(view, (4, 4, 3))
        assert small.dtype == "float16"
        self.assert_close(small, np.ones((1, 4, 4, 3)), atol=1e-3)
