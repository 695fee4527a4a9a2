"""Encoders in the formats of other runtimes, compared with the original."""

import importlib.util
import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_tc2.pixels import default_range

# The modules that each format needs; an extra of the format's name installs them.
MODULES = {"tf_saved_model": (), "onnx": ("tf2onnx", "onnxruntime"), "litert": ()}
BATCH_SIZE = 2


def export(encoder, path, *, format, input_dtype, tolerance):
    """Exports an encoder and runs what was written; see `Encoder.export`."""
    if format not in MODULES:
        known = ", ".join(map(repr, MODULES))
        raise ValueError(f"`format` must be one of {known}. Received: {format!r}")
    missing = [
        module for module in MODULES[format] if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise ImportError(
            f"Exporting to {format!r} needs {' and '.join(missing)}: "
            f"pip install 'keras-tc2[{format}]'"
        )
    if None in encoder.image_shape:
        raise ValueError(
            f"Only an encoder of fixed image size can be exported. This one has "
            f"{encoder.image_shape}."
        )
    path = pathlib.Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    signature = [
        tf.TensorSpec((None, *encoder.image_shape), input_dtype, name="images")
    ]
    keras.Model.export(
        encoder, str(path), format=format, verbose=False, input_signature=signature
    )
    images = _random_images(encoder, input_dtype)
    expected = np.asarray(encoder(images))
    actual = _RUNNERS[format](path, images)
    difference = np.abs(actual - expected).max()
    scale = max(np.abs(expected).max(), 1e-6)
    if not difference <= tolerance * scale:
        raise RuntimeError(
            f"The encoder exported to {path} gives other features: they differ by "
            f"{difference / scale:.2g} of the largest, more than {tolerance:.2g}. Do "
            "not use it."
        )


def _random_images(encoder, dtype):
    shape = (BATCH_SIZE, *encoder.image_shape)
    rng = np.random.default_rng(0)
    if dtype == "uint8":
        return rng.integers(0, 256, shape).astype("uint8")
    network = getattr(encoder, "encoder", encoder)
    value_range = getattr(network, "value_range", None)
    low, high = value_range or default_range(dtype)
    return rng.uniform(low, high, shape).astype(dtype)


def _run_saved_model(path, images):
    loaded = tf.saved_model.load(str(path))
    return np.asarray(loaded.serve(images))


def _run_litert(path, images):
    interpreter = tf.lite.Interpreter(str(path))
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given, images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _run_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: images})[0]


_RUNNERS = {
    "tf_saved_model": _run_saved_model,
    "litert": _run_litert,
    "onnx": _run_onnx,
}
