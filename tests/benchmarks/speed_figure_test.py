import importlib.util
import json
import pathlib

import pytest

from tests.test_case import TestCase

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    path = BENCHMARKS / "speed_figure.py"
    spec = importlib.util.spec_from_file_location("speed_figure", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SpeedFigureTest(TestCase):
    def test_bars_are_the_numbers_of_the_files(self, script, tmp_path):
        figure = script.draw([BENCHMARKS, tmp_path])
        left, right = figure.axes
        steps = json.loads((BENCHMARKS / "vs_pytorch.json").read_text())["steps"]
        drawn = [bar.get_width() for bar in left.patches][::-1]
        self.assert_close(drawn, [row["ratio"] for row in steps.values()])
        assert right.patches[-1].get_width() == 1

    def test_nothing_measured(self, script, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"vs_pytorch\.py"):
            script.draw([tmp_path])
