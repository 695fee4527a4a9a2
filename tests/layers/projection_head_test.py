import numpy as np
import pytest

from keras_tc2.layers import ProjectionHead
from tests.test_case import TestCase


class ProjectionHeadTest(TestCase):
    def test_layer(self, tmp_path):
        arguments = {
            "output_dim": 3,
            "hidden_dim": np.int64(5),
            "num_layers": 3,
            "batch_normalization": False,
            "synchronized": True,
        }
        features = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
        head = self.run_layer_test(ProjectionHead, arguments, features, tmp_path)
        assert head(features).shape == (6, 3)
        assert len(head.trainable_variables) == 6

    def test_values_against_numpy(self, float64):
        features = np.random.default_rng(0).normal(size=(6, 4))
        head = ProjectionHead(3)
        actual = head(features, training=True)
        kernel, gamma, beta, out_kernel, out_bias = map(
            np.asarray, head.trainable_variables
        )
        x = features @ kernel
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) * gamma + beta
        self.assert_close(actual, np.maximum(x, 0) @ out_kernel + out_bias)

    def test_hidden_width_is_that_of_the_features(self):
        head = ProjectionHead(3)
        head.build((None, 7))
        assert head.trainable_variables[0].shape == (7, 7)
        assert head.compute_output_shape((None, 7)) == (None, 3)

    def test_made_frozen_it_is_frozen_within_a_model(self):
        head = ProjectionHead(3, trainable=False)
        head.build((None, 7))
        assert not any(variable.trainable for variable in head.variables)

    @pytest.mark.parametrize("name", ["output_dim", "hidden_dim", "num_layers"])
    def test_refuses_zero(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be an integer >= 1"):
            ProjectionHead(**{name: 0})
