"""Plants each fault of the table in a copy of the tree, and asks who sees it.

    python tests/faults/plant.py --jobs=1

A fault is seen if a test of its room fails. Ends with status 1 if one is not. The
named tests run once without a fault first, and must pass.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults.table import FAULTS  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_list("only", [""], "Faults of files whose path contains one of these.")
flags.DEFINE_integer("jobs", 1, "Faults tried at once.")
flags.DEFINE_bool("baseline", True, "Whether the tests run without a fault first.")


def copy_of_tree(folder):
    """A copy of what the tests need."""
    for name in ("keras_tc2", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, folder)
    return folder


def run_tests(folder, tests):
    """Whether tests pass in a copy: pytest's status, 0 or 1, and its last line.

    Raises:
        RuntimeError: if they did not run.
    """
    paths = [f"tests/{test}" for test in dict.fromkeys(tests)]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--randomly-dont-reorganize"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"pytest {paths}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    lines = [line for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    return ran.returncode, lines[-1] if lines else ""


def is_seen(fault):
    """Plants one fault, and prints what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = copy_of_tree(pathlib.Path(folder))
        path = folder / "keras_tc2" / fault.file
        path.write_text(path.read_text().replace(fault.original, fault.faulty))
        status, line = run_tests(folder, fault.tests.split())
    print(f"{'seen' if status else 'UNSEEN':7}{fault.file}: {fault.faulty.strip()!r}")
    print(f"       {line}", flush=True)
    return bool(status)


def main(_):
    """Tries the faults, and counts those that were seen."""
    faults = [fault for fault in FAULTS if any(x in fault.file for x in FLAGS.only)]
    if FLAGS.baseline:
        tests = [test for fault in faults for test in fault.tests.split()]
        with tempfile.TemporaryDirectory() as folder:
            status, line = run_tests(copy_of_tree(pathlib.Path(folder)), tests)
        if status:
            sys.exit(f"A test fails without a fault: {line}")
    with ThreadPoolExecutor(FLAGS.jobs) as pool:
        seen = list(pool.map(is_seen, faults))
    print(f"{sum(seen)} of {len(seen)} faults were seen.")
    sys.exit(0 if all(seen) else 1)


if __name__ == "__main__":
    app.run(main)
