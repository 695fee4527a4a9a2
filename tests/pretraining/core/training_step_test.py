"""Parts of the training step that its users do not see."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.pretraining.core.training_step import _all_finite
from tests.test_case import TestCase


class AllFiniteTest(TestCase):
    @pytest.mark.parametrize("large", [1.0, 3e38])
    @pytest.mark.parametrize("found", [None, np.nan, np.inf, -np.inf])
    def test_of_float32_however_large(self, large, found):
        tensors = [np.full((2, 3), large, "float32"), np.ones(4, "float32")]
        if found is not None:
            tensors[1][2] = found
        assert self.all_finite(tensors) is (found is None)

    def test_of_several_dtypes(self):
        tensors = [
            np.full(3, 6e4, "float16"),
            np.full(2, 1e200),
            np.ones((), "float32"),
        ]
        assert self.all_finite(tensors)
        for tensor in tensors:
            before = tensor.copy()
            tensor[...] = np.inf
            assert not self.all_finite(tensors)
            tensor[...] = before

    def all_finite(self, tensors):
        tensors = [tf.constant(tensor) for tensor in tensors]
        return bool(tf.function(_all_finite)(tensors))
