"""What `setup.cfg` declares, against what the code imports and recommends."""

import ast
import configparser
import importlib.metadata
import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement

from keras_tc2.version import __version__
from tests.documentation_test import blocks
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

    def test_what_tfds_imports_and_does_not_declare_is_required(self):
        """Else `load("cifar10")` fails where the library alone is installed."""
        root = pathlib.Path(importlib.util.find_spec("tensorflow_datasets").origin)
        source = (root.parent / "core" / "dataset_builder.py").read_text()
        imports = re.findall(r"^ +import (importlib_resources)$", source, re.MULTILINE)
        assert {normal(name) for name in imports} <= set(required())

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


class VersionTest(TestCase):
    def test_citation_and_changelog_name_it(self):
        citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
        changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
        released = re.findall(r"^## (\d\S*) \(\d{4}-\d\d-\d\d\)$", changelog, re.M)
        assert citation["version"] == released[0] == __version__


def steps(workflow):
    """What the jobs of a workflow run, one shell command a line of `run`."""
    jobs = yaml.safe_load(workflow.read_text("utf-8"))["jobs"]
    for job in jobs.values():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                yield from (shlex.split(command) for command in line.split("&&"))


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# Commands that are no entry points of a package: ruff is a program of its own.
SYSTEM = {"grep", "make", "python", "ruff"}


class WorkflowsTest(TestCase):
    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
    def test_what_is_named_exists(self, path):
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        scripts = importlib.metadata.entry_points(group="console_scripts").names
        for command, *arguments in steps(path):
            assert command in SYSTEM or command in scripts, command
            if command == "make":
                assert set(arguments) <= set(targets)
            if arguments[:1] == ["-m"]:
                assert importlib.util.find_spec(arguments[1]), arguments[1]
            for name in arguments:
                if extra := re.fullmatch(r"\.\[(\w+)\]", name):
                    assert extra[1] in extras()
                if re.fullmatch(r"[\w.]+/[\w./]+", name):
                    assert (ROOT / name).is_file(), name

    def test_the_pythons_are_those_of_setup_cfg(self):
        text = "".join(path.read_text() for path in WORKFLOWS)
        used = set(re.findall(r"3\.(\d+)\b", text))
        declared = re.findall(
            r"Python :: 3\.(\d+)", config()["metadata"]["classifiers"]
        )
        assert used == set(declared)

    def test_style_is_checked_as_by_make(self):
        recipe = re.search(
            r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M
        )[1]
        by_make = [
            shlex.split(line) for line in recipe.replace("$(BIN)/", "").split("\n")
        ]
        checks = [words for words in by_make if words]
        assert len(checks) == 4
        for words in checks:
            assert words in list(steps(ROOT / ".github" / "workflows" / "tests.yml"))

    @pytest.mark.parametrize(("tag", "code"), [(__version__, 0), ("9.9.9", 1)])
    def test_a_release_needs_a_tag_of_the_version(self, tag, code):
        workflow = yaml.safe_load(
            (ROOT / ".github" / "workflows" / "release.yml").read_text()
        )
        (command,) = [
            step["run"]
            for step in workflow["jobs"]["release"]["steps"]
            if step.get("name") == "The tag names the version"
        ]
        environment = {**os.environ, "GITHUB_REF_NAME": f"v{tag}"}
        found = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment)
        assert found.returncode == code


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The folder of the sdist and the wheel, which is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": ""},
    )
    return folder


@pytest.mark.slow(reason="builds and installs; `.ci/run` runs it")
class ArchivesTest(TestCase):
    def test_sdist_and_wheel(self, archives):
        (sdist,) = archives.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            packed = {name.partition("/")[2] for name in archive.getnames()}
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        assert set(tracked) - packed <= {".gitignore"}
        (wheel,) = archives.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        tops = {name.split("/")[0] for name in names}
        assert "keras_tc2/py.typed" in names
        assert {name for name in tops if not name.endswith(".dist-info")} == {
            "keras_tc2"
        }

    def test_the_readme_runs_from_the_wheel_outside_of_the_checkout(
        self, archives, tmp_path
    ):
        (wheel,) = archives.glob("*.whl")
        python = tmp_path / "environment" / "bin" / "python"
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        script = tmp_path / "readme.py"
        where = "import keras_tc2; print('from', keras_tc2.__file__)\n"
        script.write_text("".join([*blocks(ROOT / "README.md"), where]), "utf-8")
        for command in (
            [sys.executable, "-m", "venv", tmp_path / "environment"],
            [python, "-m", "pip", "install", "--quiet", wheel],
            [python, script],
            [python.parent / "keras-tc2", "--help"],
        ):
            result = subprocess.run(
                command,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=1800,
                env={**os.environ, "PYTHONPATH": "", "MPLBACKEND": "Agg"},
            )
            assert result.returncode == 0, result.stderr[-2000:]
            if command[-1] == script:
                assert "digits_28px" in result.stdout
                assert f"from {tmp_path / 'environment'}" in result.stdout
