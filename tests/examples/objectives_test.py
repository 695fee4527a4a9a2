"""A script for each registered objective, shrunken, all in one process."""

import importlib.util
import re
import sys

import numpy as np
import pytest
from absl import flags

import keras_tc2 as tc2
from tests.scripts import ROOT
from tests.test_case import TestCase

SCRIPTS = ROOT / "examples" / "objectives"
SHRUNKEN = {"epochs": 2, "batch_size": 8, "images": 16}


def class_of(name):
    """The class of a registered objective."""
    return type(tc2.objectives.get(name))


@pytest.fixture
def main(examples):
    """Function from the name of a script to its `main`, after flags are parsed.

    The flags are taken back at the end: the next script defines its own.
    """
    names = []

    def load(name):
        path = examples / "objectives" / f"{name}.py"
        names.append(f"examples_objectives_{name}")
        spec = importlib.util.spec_from_file_location(names[-1], path)
        sys.modules[names[-1]] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        own = flags.FLAGS.get_flags_for_module(module)
        assert {flag.name for flag in own} == set(SHRUNKEN)
        flags.FLAGS([path.name, *(f"--{k}={v}" for k, v in SHRUNKEN.items())])
        return module.main

    yield load
    for name in names:
        del sys.modules[name]
    for name in set(SHRUNKEN) & set(flags.FLAGS):
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


class ObjectivesTest(TestCase):
    def test_the_registry_is_the_list(self):
        scripts = {path.stem for path in SCRIPTS.glob("*.py")}
        assert scripts == set(tc2.objectives.names())

    @pytest.mark.parametrize("name", tc2.objectives.names())
    def test_trains_its_objective_and_prints_knn(self, name, main, monkeypatch, capsys):
        trained = []
        fit = tc2.SSLPretrainer.fit

        def kept(model, *args, **kwargs):
            before = [np.array(w) for w in model.encoder.get_weights()]
            history = fit(model, *args, **kwargs)
            trained.append((model.objective, history.history["loss"]))
            after = model.encoder.get_weights()
            assert any(np.any(a != b) for a, b in zip(after, before, strict=True))
            return history

        monkeypatch.setattr(tc2.SSLPretrainer, "fit", kept)
        main(name)([])
        ((objective, losses),) = trained
        assert type(objective) is class_of(name)
        assert len(losses) == SHRUNKEN["epochs"] and np.isfinite(losses).all()
        assert "| mnist_subset | knn |" in capsys.readouterr().out

    @pytest.mark.parametrize("name", tc2.objectives.names())
    def test_names_its_paper_and_command(self, name):
        text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
        (paper,) = set(re.findall(r"arXiv (\d{4}\.\d{5})", text))
        assert f"arXiv {paper}" in class_of(name).__doc__
        assert f"python examples/objectives/{name}.py" in text
