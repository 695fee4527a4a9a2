"""The README's Python blocks run as printed, from the repository's root."""

import pathlib
import re
import shutil

import pytest

from keras_tc2 import data
from tests.test_case import TestCase

ROOT = pathlib.Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


class ReadmeTest(TestCase):
    @pytest.mark.parametrize("code", BLOCKS)
    def test_block(self, code, tmp_path, monkeypatch, capsys):
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        monkeypatch.chdir(tmp_path)
        # Every line runs, on three batches of each dataset.
        load = data.load
        monkeypatch.setattr(
            data, "load", lambda *args, **kwargs: load(*args, **kwargs).take(768)
        )
        exec(compile(code, "README.md", "exec"), {"__name__": "__readme__"})
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        assert "mnist_subset" in capsys.readouterr().out

    def test_every_link_leads_somewhere(self):
        text = (ROOT / "README.md").read_text()
        links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
        assert links
        for link in links:
            assert (ROOT / link).exists(), link
