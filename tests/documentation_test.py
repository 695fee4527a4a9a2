"""The Python blocks of README and docs run as printed, from the repository's root."""

import pathlib
import re

import pytest

from keras_tc2 import data
from tests.test_case import TestCase

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page):
    """Each after the first line that it stands on, so that an error names the line."""
    text = page.read_text()
    for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        yield "\n" * text[: match.start(1)].count("\n") + match[1]


def run(page, folder, monkeypatch):
    """The blocks of a page one after the other, in one namespace."""
    (folder / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(folder)
    # Every line runs, on three batches of each dataset.
    load = data.load
    monkeypatch.setattr(
        data, "load", lambda *args, **kwargs: load(*args, **kwargs).take(768)
    )
    namespace = {"__name__": "__documentation__"}
    for code in blocks(page):
        exec(compile(code, str(page), "exec"), namespace)


class DocumentationTest(TestCase):
    def test_readme(self, tmp_path, monkeypatch, capsys):
        run(ROOT / "README.md", tmp_path, monkeypatch)
        assert "mnist_subset" in capsys.readouterr().out

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "page", [pytest.param(p, id=p.stem) for p in PAGES if list(blocks(p))]
    )
    def test_page(self, page, tmp_path, monkeypatch):
        run(page, tmp_path, monkeypatch)

    @pytest.mark.parametrize(
        "page", [pytest.param(p, id=p.stem) for p in [ROOT / "README.md", *PAGES]]
    )
    def test_every_link_leads_somewhere(self, page):
        for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.resolve().parent / link).exists(), link

    def test_readme_fits_on_a_few_screens(self):
        assert len((ROOT / "README.md").read_text().splitlines()) <= 160
