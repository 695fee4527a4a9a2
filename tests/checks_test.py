import pathlib

import numpy as np
import pytest

from keras_tc2 import checks
from tests.test_case import TestCase


class ChecksTest(TestCase):
    @pytest.mark.parametrize(
        ("check", "good", "bad"),
        [
            (checks.positive, [1, 0.1], [0, -1, float("nan"), float("inf"), "1", True]),
            (checks.non_negative, [0, 0.0, 2], [-1e-9, float("nan"), None]),
            (checks.probability, [0, 0.5, 1], [-0.1, 1.1, float("nan"), "x"]),
            (checks.integer, [1, 7], [0, -1, 1.0, True, None]),
        ],
    )
    def test_range(self, check, good, bad):
        for value in good:
            assert check("argument", value) == value
        for value in bad:
            with pytest.raises(ValueError, match=r"`argument` must be .*argument="):
                check("argument", value)

    def test_integer_at_least(self):
        assert checks.integer("n", 0, at_least=0) == 0
        with pytest.raises(ValueError, match=">= 2"):
            checks.integer("n", 1, at_least=2)

    def test_mapping(self):
        assert checks.mapping("encoders", {"a": 1}) == {"a": 1}
        with pytest.raises(ValueError, match=r"`encoders` must be a dict from .*list"):
            checks.mapping("encoders", [1])

    def test_paths(self):
        assert checks.paths("pictures", ("a",)) == [pathlib.Path("a")]
        for one in ("a", pathlib.Path("a")):
            with pytest.raises(ValueError, match=r"`pictures` must be .*\['a'\]"):
                checks.paths("pictures", one)

    def test_one_of(self):
        assert checks.one_of("kind", "a", {"a": 1}) == "a"
        with pytest.raises(ValueError, match="`kind` must be one of 'a', 'b'"):
            checks.one_of("kind", "c", ["a", "b"])

    def test_optional(self):
        assert checks.optional(checks.integer, "n", None) is None
        assert type(checks.optional(checks.integer, "n", np.int64(3))) is int
        with pytest.raises(ValueError, match="`n` must be"):
            checks.optional(checks.integer, "n", 0)

    def test_the_nearest_name(self):
        def hint(value, aliases=None):
            return checks.did_you_mean(value, ["nt_xent", "resnet50"], aliases=aliases)

        assert hint("ResNet-50") == " Did you mean 'resnet50'?"
        assert hint("nt_xnet") == " Did you mean 'nt_xent'?"
        assert hint("SimCLR", {"sim_clr": "nt_xent"}) == " Did you mean 'nt_xent'?"
        assert hint("zzz") == hint(3) == ""
        with pytest.raises(ValueError, match=r"kind='aple'. Did you mean 'apple'"):
            checks.one_of("kind", "aple", ["apple", "b"])
        with pytest.raises(ValueError, match="must be one of"):
            checks.one_of("kind", np.zeros(3), ["apple", "b"])

    def test_made(self):
        class Shape:
            pass

        class Needy(Shape):
            def __init__(self, size):
                self.size = size

        square = Shape()
        assert checks.made("shape", square, Shape, {}) is square
        assert type(checks.made("shape", Shape, Shape, {})) is Shape
        assert type(checks.made("shape", "any", Shape, {"any": Shape})) is Shape
        with pytest.raises(ValueError, match=r"shape=Needy\(\.\.\.\)"):
            checks.made("shape", Needy, Shape, {})
        with pytest.raises(ValueError, match="must be a Shape or one of 'any'"):
            checks.made("shape", 3, Shape, {"any": Shape})
