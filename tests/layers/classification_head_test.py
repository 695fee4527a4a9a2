import keras
import numpy as np
import pytest

from keras_tc2.layers import ClassificationHead
from tests.test_case import TestCase

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, size=(6, 4)).astype("float32")


class ClassificationHeadTest(TestCase):
    def test_layer(self, tmp_path):
        arguments = {
            "num_classes": 3,
            "standardize": False,
            "kernel_initializer": keras.initializers.RandomNormal(stddev=0.3, seed=2),
        }
        head = self.run_layer_test(ClassificationHead, arguments, FEATURES, tmp_path)
        assert head(FEATURES).shape == (6, 3)

    def test_values_against_numpy(self):
        head = ClassificationHead(3)
        logits = head(FEATURES, training=True)
        kernel, bias = map(np.asarray, head.trainable_variables)
        x = FEATURES.astype("float64")
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
        self.assert_close(logits, x @ kernel + bias, rtol=1e-4, atol=1e-5)
        # At inference by moving statistics, which began at 0 and 1.
        mean = 0.1 * FEATURES.mean(0)
        variance = 0.9 + 0.1 * FEATURES.var(0)
        x = (FEATURES - mean) / np.sqrt(variance + 1e-3)
        self.assert_close(head(FEATURES), x @ kernel + bias, rtol=1e-2, atol=1e-2)

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_computes_in_float32_under_half_precision(self, policy):
        head = ClassificationHead(3, dtype=policy)
        assert head(FEATURES).dtype == "float32"
        assert {v.dtype for v in head.variables} == {"float32"}

    def test_two_classes_at_least(self):
        with pytest.raises(ValueError, match="num_classes"):
            ClassificationHead(1)
