"""One checkpoint in one file: written wholly or not at all, and checked when read."""

import hashlib
import json
import os
import pathlib
import zipfile
import zlib

import numpy as np

MANIFEST = "manifest"


class DamagedCheckpointError(Exception):
    """The file is not a whole checkpoint."""


def write_checkpoint(path, manifest, arrays):
    """Writes a checkpoint so that `path` never names a part of one.

    The file is written under another name in the same folder, forced to the disk, and
    only then given its name; the folder is forced to the disk last.

    Args:
        path: `pathlib.Path`.
        manifest: dict of what JSON can hold.
        arrays: dict of NumPy arrays by name.

    Raises:
        OSError: if it cannot be written, such as on a full disk. What was written so
            far is deleted.
    """
    stored = {name: _as_bits(array) for name, array in arrays.items()}
    entries = {
        name: {"dtype": str(array.dtype), "sha256": _digest(stored[name])}
        for name, array in arrays.items()
    }
    text = json.dumps({**manifest, "arrays": entries}).encode()
    temporary = path.with_name(f"{temporary_prefix(path)}{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **stored, **{MANIFEST: np.frombuffer(text, "uint8")})
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _force_to_disk(path.parent)


def read_checkpoint(path):
    """Reads a checkpoint back.

    Returns:
        `(manifest, arrays)` as they were given to `write_checkpoint`.

    Raises:
        DamagedCheckpointError: if the file is truncated or altered.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            manifest = json.loads(file[MANIFEST].tobytes())
            entries = manifest.pop("arrays")
            arrays = {name: file[name] for name in entries}
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise DamagedCheckpointError(str(error) or type(error).__name__) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DamagedCheckpointError(str(error)) from error
    for name, entry in entries.items():
        if _digest(arrays[name]) != entry["sha256"]:
            raise DamagedCheckpointError(f"the checksum of {name} is wrong")
        arrays[name] = arrays[name].view(_dtype(entry["dtype"]))
    return manifest, arrays


def temporary_prefix(path):
    """How the names of unfinished files start, of a checkpoint of this name."""
    return f".{pathlib.Path(path).name}.unfinished."


def _as_bits(array):
    """bfloat16 and the like, which NumPy cannot name in a file, as integers."""
    if array.dtype.kind != "V":
        return array
    return array.view(f"uint{8 * array.dtype.itemsize}")


def _dtype(name):
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))


def _digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _force_to_disk(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
