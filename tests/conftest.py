"""What every test starts from: quiet TensorFlow, fixed seeds, whole float32."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# A GPU's matrix products keep ten bits of float32 unless told otherwise, and tolerances
# here are for all 23. The variable says it to the processes that tests start.
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
# Several processes of tests share a GPU: each takes what it needs.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import keras
import pytest
import tensorflow as tf

tf.config.experimental.enable_tensor_float_32_execution(False)
if tf.config.list_physical_devices("GPU"):
    # Resuming and reloading are exact; kernels that add in no fixed order are not.
    tf.config.experimental.enable_op_determinism()

# Four logical CPU devices, so that every process can test 2 and 4 replicas.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration() for _ in range(4)],
)


def pytest_collection_finish():
    """Leaves all imports out of garbage collection, which takes a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fresh_state():
    """Seeds every generator, and undoes what a test set globally."""
    keras.utils.set_random_seed(2511)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session(free_memory=False)


@pytest.fixture
def float64():
    """Runs a test in double precision, where central differences are sharp."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
