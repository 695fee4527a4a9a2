"""The table of docs/models.md is there, and says what the encoders are."""

import pathlib

import keras_tc2 as tc2
from benchmarks.models import SIZES, multiply_adds
from tests.test_case import TestCase

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "models.md"


class ModelsTest(TestCase):
    def test_the_page_holds_the_table(self):
        rows = [line for line in PAGE.read_text().splitlines() if "×" in line]
        for name, shapes in SIZES.items():
            for height, width, channels in shapes:
                start = f"| `{name}` | {height}×{width}×{channels} |"
                assert [row for row in rows if row.startswith(start)], start
        assert len(rows) == sum(map(len, SIZES.values()))
        encoder = tc2.encoders.create("resnet18", input_shape=(32, 32, 3))
        (row,) = (row for row in rows if row.startswith("| `resnet18` | 32"))
        millions = encoder.count_params() / 1e6
        adds = multiply_adds(encoder.network, (32, 32, 3)) / 1e9
        assert row.endswith(
            f"| {encoder.feature_dim} | {millions:.2f} M | {adds:.3f} |"
        )
