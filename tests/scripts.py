"""Scripts of this repository in processes of their own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def run(script, *flags, fails=False):
    """Runs a script, named from the root or wholly, and gives its completed process.

    Without a GPU, whose memory the process of the tests may hold.
    """
    result = subprocess.run(
        [sys.executable, ROOT / script, *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert bool(result.returncode) == fails, result.stderr[-4000:]
    return result
