"""Every example in a docstring runs as it is printed."""

import importlib
import pkgutil
import re
import textwrap

import pytest

import keras_tc2
from keras_tc2.encoders import registry
from tests.test_case import TestCase

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


# Elsewhere an old name is an error; the examples of how one is made use it.
SHOWS_OLD_NAMES = pytest.mark.filterwarnings("ignore:.*is gone in keras_tc2")


def examples():
    """`(where, code)` of every Python block in the sources of the package."""
    for module in pkgutil.walk_packages(keras_tc2.__path__, "keras_tc2."):
        spec = importlib.util.find_spec(module.name)
        marks = [SHOWS_OLD_NAMES] if module.name == "keras_tc2.deprecation" else []
        with open(spec.origin, encoding="utf-8") as source:
            for i, block in enumerate(BLOCK.findall(source.read())):
                name = f"{module.name}-{i}"
                yield pytest.param(textwrap.dedent(block), id=name, marks=marks)


class DocstringTest(TestCase):
    @pytest.mark.parametrize("code", list(examples()))
    def test_example(self, code, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        # What an example registers is gone after it.
        monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))
        exec(compile(code, "<example>", "exec"), {"__name__": "__example__"})
