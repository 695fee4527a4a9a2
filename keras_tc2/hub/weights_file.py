"""Looking at an HDF5 weights file before anything is loaded from it."""

import os

import numpy as np

from keras_tc2.hub.errors import UnsafeFileError, WeightsError

MAX_TENSORS = 100_000
MAX_NESTING = 64
NAMES_SHOWN = 5


def tensor_shapes(path):
    """The shape of every tensor in a weights file, by its name in the file.

    Follows no link out of the file and reads no values.

    Args:
        path: path of a `.weights.h5` file.

    Returns:
        dict of str to tuple of ints.

    Raises:
        WeightsError: if the file is truncated or no HDF5.
        UnsafeFileError: if it holds links, data kept in other files, or tensors that
            are not plain floats or integers.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            shapes = {}
            _walk(file, "", shapes)
            return shapes
    except (OSError, RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a readable HDF5 file; it may be truncated. Fetch it "
            f"anew (force_download=True) or save it again. HDF5 says: {error}"
        ) from error


def check_tensors(path, expected):
    """Raises `WeightsError` unless a file holds exactly the `expected` tensors.

    Args:
        path: path of a `.weights.h5` file.
        expected: dict of tensor name to shape.
    """
    found = tensor_shapes(path)
    problems = []
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if missing:
        problems.append(f"missing: {_listed(missing)}")
    if extra:
        problems.append(f"not of this encoder: {_listed(extra)}")
    other_shape = [
        f"{name} has {found[name]}, needs {shape}"
        for name, shape in sorted(expected.items())
        if name in found and found[name] != shape
    ]
    if other_shape:
        problems.append(f"of another shape: {_listed(other_shape)}")
    if problems:
        raise WeightsError(
            f"The tensors in {path} are not those of the encoder that its config "
            f"describes. {'; '.join(problems)}. Save the encoder again."
        )


def check_size(path, num_parameters):
    """Raises `WeightsError` if a file is too small for `num_parameters` values.

    So a small file cannot make a large encoder be built: half precision takes two
    bytes a value, and no weights file of ours is compressed.
    """
    size = os.path.getsize(path)
    if size < 2 * num_parameters:
        raise WeightsError(
            f"{path} has {size} bytes, but the encoder that its config describes has "
            f"{num_parameters} parameters. The file is truncated, or the config of "
            "another encoder. Fetch or save both again."
        )


def check_finite(path, names):
    """Raises `WeightsError` naming the tensors with NaN or infinite values."""
    import h5py

    with h5py.File(path, "r") as file:
        try:
            broken = [name for name in names if not np.isfinite(file[name][()]).all()]
        except OSError as error:
            raise WeightsError(f"{path} is damaged. HDF5 says: {error}") from error
    if broken:
        raise WeightsError(
            f"{path} holds NaN or infinite values in {_listed(broken)}. The training "
            "that made it diverged; no encoder was loaded."
        )


def _walk(group, prefix, shapes):
    import h5py

    if prefix.count("/") > MAX_NESTING:
        raise UnsafeFileError(
            f"The weights file nests groups over {MAX_NESTING} deep, perhaps in a "
            "circle; nothing was loaded."
        )
    for key in group:
        name = f"{prefix}{key}"
        link = group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnsafeFileError(
                f"The weights file has a {type(link).__name__} at {name}. A link can "
                "lead to other files; nothing was loaded."
            )
        item = group[key]
        if isinstance(item, h5py.Group):
            _walk(item, f"{name}/", shapes)
            continue
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
            raise UnsafeFileError(f"The weights file holds no plain tensor at {name}.")
        if item.external or item.is_virtual:
            raise UnsafeFileError(
                f"The tensor {name} keeps its values in another file; nothing was "
                "loaded."
            )
        shapes[name] = tuple(item.shape)
        if len(shapes) > MAX_TENSORS:
            raise UnsafeFileError(f"The weights file has over {MAX_TENSORS} tensors.")


def _listed(names):
    rest = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {rest} more" if rest > 0 else shown
