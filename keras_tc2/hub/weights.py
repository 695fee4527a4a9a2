"""Weights of a Keras model to and from a folder, with every check on the way back."""

import contextlib
import math
import pathlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras

from keras_tc2.annotations import PathLike
from keras_tc2.hub import files, weights_file
from keras_tc2.hub.errors import ConfigError, WeightsError


def save_weights(model: keras.Layer, folder: PathLike) -> str:
    """Writes `model.weights.h5`.

    Args:
        model: `keras.Model` or layer that is built.
        folder: str or path.

    Returns:
        str, the SHA-256 of the file, which the config keeps.
    """
    path = pathlib.Path(folder, files.WEIGHTS_FILE)
    model.save_weights(path)
    return files.sha256(path)


def as_model(**parts: keras.Layer) -> keras.Model:
    """Layers or models by name as one model, whose weights are one file."""
    model = keras.Model()
    for name, part in parts.items():
        setattr(model, name, part)
    model.built = True
    return model


def build_with_weights(
    build: Callable[[], Any],
    folder: PathLike,
    *,
    sha256: str,
    model_of: Callable[[Any], keras.Model],
) -> Any:
    """Builds what a config describes, and gives it the weights of the folder.

    Nothing is built before the weights are known to be those of the config, and to fit.

    Args:
        build: function without arguments that returns an object.
        folder: str or path.
        sha256: str. What the config says that the checksum is.
        model_of: function from the object to the `keras.Model` whose weights the file
            holds.

    Returns:
        The object.

    Raises:
        FolderError: if `build` refuses what the config says, or as `check_weights` and
            `load_weights`.
    """
    try:
        num_parameters = count_parameters(lambda: model_of(build()))
    except (ValueError, TypeError) as error:
        path = pathlib.Path(folder, files.CONFIG_FILE)
        raise ConfigError(f"{path}: {error}") from error
    path, found = check_weights(folder, sha256=sha256, num_parameters=num_parameters)
    built = build()
    load_weights(model_of(built), path, found)
    return built


def check_weights(folder, *, sha256, num_parameters):
    """Looks at `model.weights.h5` before a model is built for it.

    Args:
        folder: str or path.
        sha256: str. What the config says that the checksum is.
        num_parameters: int. How many values the model will hold.

    Returns:
        `(path, found)`: of the file, and the shape of each tensor in it by name.

    Raises:
        FolderError: if the file is damaged, unsafe, or far too small for the model.
    """
    path = files.safe_path(
        folder, files.WEIGHTS_FILE, max_bytes=files.MAX_WEIGHTS_BYTES
    )
    found = weights_file.tensor_shapes(path)
    weights_file.check_size(path, num_parameters)
    if files.sha256(path) != sha256:
        raise WeightsError(
            f"The checksum of {path} is not the one in the config: the file was "
            "damaged, or changed since. Fetch it anew (force_download=True) or save "
            "it again."
        )
    return path, found


def count_parameters(build):
    """How many values a model will hold, without making any of them.

    Args:
        build: function without arguments that returns the model.

    Returns:
        int.
    """

    def count():
        with keras.StatelessScope(initialize_variables=False):
            model = build()
        return sum(math.prod(variable.shape) for variable in model.variables)

    # Keras keeps a list of variables to initialise later, one a thread: that of this
    # thread ends with it.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(count).result()


def load_weights(model, path, found):
    """Gives a built model the weights of a file, if they are its own.

    Args:
        model: `keras.Model`.
        path: path of the file.
        found: dict of the shape of each tensor in it by name.

    Raises:
        FolderError: if tensors are missing, left over, of another shape, or hold NaN
            or infinite values.
    """
    # Keras gives every variable its tensor or raises, so where the sizes are equal
    # nothing of the file is left over.
    sizes = {id(variable): math.prod(variable.shape) for variable in model.variables}
    if sum(sizes.values()) == sum(math.prod(shape) for shape in found.values()):
        weights_file.check_finite(path, found)
        with contextlib.suppress(ValueError, KeyError):
            model.load_weights(path)
            return
    # What Keras, in this version, would write for this model tells what is wrong.
    with tempfile.TemporaryDirectory() as scratch:
        save_weights(model, scratch)
        expected = weights_file.tensor_shapes(pathlib.Path(scratch, files.WEIGHTS_FILE))
    weights_file.check_tensors(path, expected)
    weights_file.check_finite(path, expected)
    model.load_weights(path)
