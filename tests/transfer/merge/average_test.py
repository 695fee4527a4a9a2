import numpy as np
import pytest

from keras_tc2.transfer import merge
from tests.test_case import TestCase
from tests.transfer.merge import networks


class AverageTest(TestCase):
    def test_equals_numpy_and_leaves_the_encoders_alone(self):
        base = networks.encoder()
        encoders = [networks.tuned(base, seed) for seed in (1, 2, 3)]
        before = [encoder.get_weights() for encoder in encoders]
        for weights in (None, [0.5, 0.2, 0.3]):
            merged = merge.average(encoders, weights=weights)
            shares = weights or [1 / 3] * 3
            for i, value in enumerate(merged.get_weights()):
                expected = sum(
                    s * w[i].astype("float64")
                    for s, w in zip(shares, before, strict=True)
                )
                self.assert_close(value, expected, rtol=1e-6)
        for encoder, weights in zip(encoders, before, strict=True):
            for a, b in zip(encoder.get_weights(), weights, strict=True):
                np.testing.assert_array_equal(a, b)

    def test_statistics_of_given_images(self):
        base = networks.encoder()
        encoders = [networks.tuned(base, seed) for seed in (1, 2)]
        images = networks.images(9)
        merged = merge.average(encoders, images=images)
        convolution, normalization = merged.layers[:2]
        maps = np.asarray(convolution(images), "float64")
        self.assert_close(normalization.moving_mean, maps.mean((0, 1, 2)), rtol=1e-5)
        self.assert_close(normalization.moving_variance, maps.var((0, 1, 2)), rtol=1e-5)

    def test_errors(self):
        base = networks.encoder()
        encoders = [base, networks.tuned(base, 1)]
        for weights, words in (
            ([0.5, 0.6], "sum to one.*1.1"),
            ([1.5, -0.5], "at least zero"),
            ([1.0], "one finite number for each of the 2"),
            ([np.nan, 1.0], "finite"),
            ("half", "finite"),
        ):
            with pytest.raises(ValueError, match=words):
                merge.average(encoders, weights=weights)
