"""What `import keras_tc2` itself loads."""

import subprocess
import sys

from tests.test_case import TestCase

HEAVY = {"keras_cv", "tensorflow_datasets", "sklearn", "matplotlib", "safetensors"}
SCRIPT = """
import sys
import keras, tensorflow
before = set(sys.modules)
import keras_tc2
print(sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


class ImportTest(TestCase):
    def test_heavy_packages_load_when_first_used(self):
        printed = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
        ).stdout
        loaded = set(eval(printed.splitlines()[-1]))
        assert "keras_tc2" in loaded
        assert not loaded & HEAVY
