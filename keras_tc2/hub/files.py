"""The files of a published encoder, and reading one without trusting it."""

import hashlib
import os
import pathlib
import stat

from keras_tc2.hub.errors import UnsafeFileError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
SAFETENSORS_FILE = "model.safetensors"
CARD_FILE = "README.md"
PRETRAINER_FOLDER = "pretrainer"
CLASSIFIER_FOLDER = "classifier"
PICTURES_FOLDER = "pictures"

MAX_CONFIG_BYTES = 1 << 20
MAX_WEIGHTS_BYTES = 8 << 30


def safe_path(folder, name, *, max_bytes):
    """The path of a file that a folder itself holds.

    Args:
        folder: str or path.
        name: str. A file name of ours, never one read from the folder.
        max_bytes: int. Larger files are refused.

    Returns:
        `pathlib.Path`.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeFileError: if it is a link that leads out of the folder, not a regular
            file, or too large.
    """
    folder = pathlib.Path(folder)
    path = folder / name
    try:
        real = path.resolve(strict=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no {name} in {folder}") from None
    if not real.is_relative_to(_root(folder)):
        raise UnsafeFileError(
            f"{path} is a link that leads out of its folder, to {real}. It was not "
            "read. Replace the link by the file, if you trust it."
        )
    status = os.stat(real)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError(f"{path} is not a regular file. It was not read.")
    if status.st_size > max_bytes:
        raise UnsafeFileError(
            f"{path} has {status.st_size} bytes; at most {max_bytes} are read."
        )
    return path


def sha256(path):
    """The SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _root(folder):
    """What links in `folder` may lead to.

    The Hub's cache keeps `snapshots/<commit>/` full of links into `blobs/` beside it.
    """
    folder = folder.resolve()
    for snapshots in list(folder.parents)[:2]:
        if snapshots.name == "snapshots" and (snapshots.parent / "blobs").is_dir():
            return snapshots.parent
    return folder
