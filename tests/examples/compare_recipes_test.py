"""The recipes of the ablation that contradict each other."""

import sys

import numpy as np
import pytest

from tests.scripts import ROOT
from tests.test_case import TestCase


@pytest.fixture
def recipes(monkeypatch):
    """The module."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import compare_recipes

    yield compare_recipes
    del sys.modules["compare_recipes"]


def seen(recipe):
    """Whether views of a ramp that rises to the right are turned, and fall somewhere.

    Returns:
        `(turned, falling, light)`: whether some rise along the other axis, some fall
        along the first, and some are light where the image is dark.
    """
    ramp = np.linspace(0, 0.4, 8, dtype="float32")
    images = np.broadcast_to(ramp[None, None, :, None], (64, 8, 8, 1))
    views = np.asarray(recipe.augment(images, seed=(0, 1)))[..., 0]
    across = (views[:, :, -1] - views[:, :, 0]).mean(axis=1)
    along = (views[:, -1] - views[:, 0]).mean(axis=1)
    light = views.mean(axis=(1, 2)) > 0.5
    falling = across * np.where(light, -1, 1) < -0.05
    return tuple(bool(np.any(x)) for x in (np.abs(along) > 0.05, falling, light))


class ContradictingTest(TestCase):
    def test_each_task_ignores_one_thing(self, recipes):
        whole, tasks = recipes.contradicting(8, 4, 1)
        assert [seen(task) for task in tasks] == [
            (True, True, False),  # A half turn falls as well.
            (False, True, False),
            (False, False, True),
            (False, False, False),
        ]
        assert seen(whole) == (True, True, True)

    def test_there_are_four(self, recipes):
        with pytest.raises(ValueError, match=r"are four.*num_tasks=8"):
            recipes.contradicting(8, 8, 1)
