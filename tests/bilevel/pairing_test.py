import numpy as np
import pytest

from keras_tc2.bilevel import partners
from tests.test_case import TestCase


class PartnersTest(TestCase):
    def test_ring(self):
        np.testing.assert_array_equal(partners("ring", 4), [[1], [2], [3], [0]])

    def test_all(self):
        rows = partners("all", 4)
        assert rows.shape == (4, 3)
        for task, row in enumerate(rows):
            assert sorted([task, *row]) == [0, 1, 2, 3]

    def test_unknown(self):
        with pytest.raises(ValueError, match="'ring', 'all'"):
            partners("chain", 4)
