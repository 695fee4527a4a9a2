"""The notebooks that are kept as scripts, shrunken; what they assert is their own."""

import re
import runpy

import keras
import pytest

from tests.scripts import ROOT
from tests.test_case import TestCase

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.py"))


@pytest.fixture
def run(examples, tmp_path, monkeypatch, capsys):
    """Function from the name of a notebook to its variables and what it printed."""
    monkeypatch.setenv("KERAS_TC2_QUICK", "1")
    monkeypatch.chdir(tmp_path)

    def run(name):
        path = examples / "notebooks" / f"{name}.py"
        return runpy.run_path(str(path)), capsys.readouterr().out

    yield run
    keras.config.set_floatx("float32")


class NotebooksTest(TestCase):
    def test_quickstart(self, run, tmp_path):
        variables, printed = run("quickstart")
        assert variables["report"].encoders == ["untrained", "pre-trained"]
        assert "| mnist_subset | linear |" in printed
        folder = tmp_path / "runs" / "quickstart"
        for picture in ("views.png", "features_0001.png"):
            assert (folder / picture).stat().st_size > 5_000

    def test_one_method_from_paper_to_code(self, run):
        variables, printed = run("one_method_from_paper_to_code")
        assert "∇L by θ of the pretrainer" in printed
        # Its checks would see a difference.
        with pytest.raises(AssertionError, match="is above"):
            variables["check"]("one", [0.0, 1e-6], at_most=1e-9)

    @pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in NOTEBOOKS])
    def test_is_in_the_percent_format(self, path):
        """A title, then each cell of text followed by code, but for the last."""
        text = path.read_text(encoding="utf-8")
        cells = re.split(r"^# %%", text, flags=re.MULTILINE)
        assert cells[0] == "" and cells[1].startswith(' [markdown]\n"""\n# ')
        for cell in cells[1:]:
            lines = cell.splitlines()
            assert lines[0] in ("", " [markdown]")
            if lines[0] and not lines[1].startswith('"""'):
                assert all(line[:1] in ("", "#") for line in lines[1:])
        assert f"python examples/notebooks/{path.name}" in text
