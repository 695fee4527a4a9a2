"""The table of faults fits the library as it is."""

import ast
import pathlib

import pytest

import keras_tc2
from tests.faults.table import FAULTS
from tests.test_case import TestCase

PACKAGE = pathlib.Path(keras_tc2.__file__).parent
TESTS = pathlib.Path(__file__).parents[1]


class TableTest(TestCase):
    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.file)
    def test_a_fault_can_be_planted(self, fault):
        text = (PACKAGE / fault.file).read_text()
        assert text.count(fault.original) == 1
        ast.parse(text.replace(fault.original, fault.faulty))
        for test in fault.tests.split():
            file, _, name = test.partition("::")
            assert f"class {name}" in (TESTS / file).read_text()

    def test_every_room_has_faults(self):
        rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
        assert rooms == {
            fault.file.split("/")[0] for fault in FAULTS if "/" in fault.file
        }
