"""What `setup.cfg` declares, against what the code imports and recommends."""

import ast
import configparser
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
from packaging.requirements import Requirement

from tests.test_case import TestCase

ROOT = pathlib.Path(__file__).parents[1]
# Modules whose package has another name.
PACKAGES = {"absl": "absl-py", "PIL": "pillow", "sklearn": "scikit-learn"}
PACKAGES["yaml"] = "pyyaml"
# By their own account not needed: `benchmarks/vs_pytorch.py`, `input_pipeline.py` and
# `benchmarks/transfer/pictures_data.py` say how to install them.
OPTIONAL = {"benchmarks": {"grain", "torch", "resvg-py"}}
# Whose scripts those of a folder import by their names.
SCRIPTS = {"benchmarks": ["examples"], "tests": ["examples", "benchmarks"]}


def config():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def declared(text):
    """Requirements of a list in `setup.cfg`, by normalised name."""
    lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    requirements = [Requirement(line) for line in lines]
    return {normal(requirement.name): requirement for requirement in requirements}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def extras():
    return {
        name: declared(text)
        for name, text in config()["options.extras_require"].items()
    }


def required():
    return declared(config()["options"]["install_requires"])


def imported(folder):
    """Packages that the scripts and modules below a folder import, by file."""
    folders = [folder, *SCRIPTS.get(folder, ())]
    own = {path.stem for name in folders for path in (ROOT / name).rglob("*.py")}
    own |= {"benchmarks", "keras_tc2", "tests"}
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in {name.split(".")[0] for name in names}:
                if name not in own and name not in sys.stdlib_module_names:
                    package = normal(PACKAGES.get(name, name))
                    found.setdefault(package, path.relative_to(ROOT))
    return found


class DeclaredTest(TestCase):
    def test_the_package_imports_what_it_requires_or_an_extra(self):
        users = {k: v for name, v in extras().items() if name != "dev" for k in v}
        undeclared = {
            package: str(path)
            for package, path in imported("keras_tc2").items()
            if package not in required() and package not in users
        }
        assert not undeclared

    @pytest.mark.parametrize("folder", ["examples", "hub", "benchmarks", "tests"])
    def test_everything_else_runs_with_the_extra_dev(self, folder):
        known = {*required(), *extras()["dev"], *OPTIONAL.get(folder, ())}
        undeclared = {
            package: str(path)
            for package, path in imported(folder).items()
            if package not in known
        }
        assert not undeclared

    def test_installed_versions_are_within_the_bounds(self):
        for requirement in required().values():
            version = importlib.metadata.version(requirement.name)
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{requirement} was declared, and the tests run on {version}"
            )

    def test_python_versions_agree(self):
        bounds = config()["options"]["python_requires"]
        low, high = re.fullmatch(r">=3\.(\d+), <3\.(\d+)", bounds).groups()
        classified = re.findall(
            r"Python :: 3\.(\d+)", config()["metadata"]["classifiers"]
        )
        assert [int(minor) for minor in classified] == list(range(int(low), int(high)))

    def test_the_lowest_versions_are_those_that_were_run(self):
        """`.github/lowest.txt` pins each lower bound of `setup.cfg` itself."""
        pins = declared((ROOT / ".github" / "lowest.txt").read_text())
        bounds = {
            name: str(requirement.specifier).replace(">=", "==")
            for name, requirement in required().items()
        }
        assert {name: str(pin.specifier) for name, pin in pins.items()} == bounds


class HintsTest(TestCase):
    def test_every_extra_that_is_named_exists(self):
        known = set(extras())
        named = {}
        files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        for folder in ("keras_tc2", "examples", "hub", "benchmarks"):
            files += (ROOT / folder).rglob("*.py")
        for path in files:
            text = path.read_text(encoding="utf-8")
            for list_of in re.findall(r"keras[-_]tc2\[([\w, -]+)\]", text):
                for name in re.split(r", *", list_of):
                    named[name] = path.name
        assert {"tiff", "safetensors"} <= set(named)
        assert set(named) <= known, f"{named}, of which setup.cfg knows {known}"

    def test_an_extra_for_every_format_of_export(self):
        from keras_tc2.encoders.export import MODULES

        for format, modules in MODULES.items():
            assert set(modules) <= set(extras().get(format, ())), format

    def test_no_message_recommends_what_is_not_declared(self):
        known = {"keras-tc2"} | set(required())
        for path in (ROOT / "keras_tc2").rglob("*.py"):
            hints = re.findall(
                r"pip install (?:--upgrade )?'?([\w-]+)", path.read_text("utf-8")
            )
            assert set(hints) <= known, path


@pytest.mark.slow(reason="builds both archives; `.ci/run` runs it")
class ArchivesTest(TestCase):
    def test_sdist_and_wheel(self, tmp_path):
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", tmp_path, ROOT],
            check=True,
            capture_output=True,
            timeout=900,
            env={**os.environ, "PYTHONPATH": ""},
        )
        (sdist,) = tmp_path.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            packed = {name.partition("/")[2] for name in archive.getnames()}
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        assert set(tracked) - packed <= {".gitignore"}
        (wheel,) = tmp_path.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        tops = {name.split("/")[0] for name in names}
        assert "keras_tc2/py.typed" in names
        assert {name for name in tops if not name.endswith(".dist-info")} == {
            "keras_tc2"
        }
