"""Reading and writing the JSON of a published folder."""

import json
import math
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from keras_tc2.annotations import Config, PathLike
from keras_tc2.hub import files
from keras_tc2.hub.errors import ConfigError, NotAnEncoderError
from keras_tc2.hub.redact import redact

LIBRARY = "keras_tc2"
# 2: a `value_range` that is stated is meant.
FORMAT_VERSION = 2

MAX_INTEGER = 10**6
MAX_STRING = 256
MAX_LIST = 64
MAX_NESTING = 2


def write_config(folder: PathLike, name: str, content: Mapping[str, Any]) -> None:
    """Writes `content`, a dict, with the library and format version in front.

    Access tokens of the Hub, such as one in a recorded command, are left out.

    Raises:
        ConfigError: if it would be too long to be read again.
    """
    text = json.dumps(
        {"library": LIBRARY, "format_version": FORMAT_VERSION, **content},
        indent=2,
        allow_nan=False,
    )
    written = (redact(text) + "\n").encode()
    if len(written) > files.MAX_CONFIG_BYTES:
        raise ConfigError(
            f"{name} would have {len(written)} bytes, and at most "
            f"{files.MAX_CONFIG_BYTES} are read again. Shorten the `training_record` "
            "of the encoder, or the names of `classes`."
        )
    pathlib.Path(folder, name).write_bytes(written)


def read_config(
    folder: PathLike,
    name: str,
    *,
    keys: Collection[str],
    optional: Collection[str] = (),
) -> Config:
    """Reads a config that `write_config` wrote; runs and imports nothing.

    Args:
        folder: str or path.
        name: str, the file's name.
        keys: list of str. Every key that must be there.
        optional: list of str. Those that may be. Defaults to none.

    Returns:
        dict, without the library and format version.

    Raises:
        NotAnEncoderError: if it is not a config of this library.
        ConfigError: if it is damaged, newer than the library, or its keys are
            others.
    """
    path = pathlib.Path(folder, name)
    content = _parse(folder, name)
    if not _is_ours(content):
        raise NotAnEncoderError(f"{path} was not written by keras_tc2.")
    version = content.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigError(f"{path}: `format_version` must be an integer >= 1.")
    if version > FORMAT_VERSION:
        raise ConfigError(
            f"{path} has format version {version}; this keras_tc2 reads up to "
            f"{FORMAT_VERSION}. Upgrade it: pip install --upgrade keras-tc2"
        )
    content = {
        key: value
        for key, value in content.items()
        if key not in ("library", "format_version")
    }
    if version == 1 and content.get("value_range") == [0, 255]:
        # The default of its time, written whether it was meant or not.
        content["value_range"] = None
    missing = [key for key in keys if key not in content]
    unknown = [key for key in content if key not in (*keys, *optional)]
    if missing or unknown:
        raise ConfigError(
            f"{path} lacks the keys {missing} and has the unknown keys "
            f"{[key[:MAX_STRING] for key in unknown]}. It was not written by "
            "`save_pretrained`, or was changed since."
        )
    return content


def holds_config(folder, name):
    """Whether a folder has a config of this library, of whatever version."""
    try:
        return _is_ours(_parse(folder, name))
    except FileNotFoundError:
        return False


def check_plain(
    name: str, value: Any, nesting: int = 0, *, max_length: int = MAX_LIST
) -> Any:
    """Returns `value` if it is a bounded number, string, None or list of these.

    Anything else, a dict above all, could describe an object; a huge number could
    ask for one. `name` is what the error names.

    Args:
        name: str.
        value: what was given.
        nesting: int, how many lists it is within.
        max_length: int, of a list, where its length is bounded by something else in
            the config.

    Raises:
        ConfigError: if it is not.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and len(value) <= MAX_STRING:
        return value
    if isinstance(value, list) and len(value) <= max_length and nesting < MAX_NESTING:
        return [check_plain(name, item, nesting + 1) for item in value]
    raise ConfigError(
        f"`{name}` must be a number up to {MAX_INTEGER}, a string of up to "
        f"{MAX_STRING} characters, or a list of up to {max_length} of them. "
        f"Received: {repr(value)[:MAX_STRING]}"
    )


def _is_ours(content):
    return isinstance(content, dict) and content.get("library") == LIBRARY


def _parse(folder, name):
    path = files.safe_path(folder, name, max_bytes=files.MAX_CONFIG_BYTES)
    try:
        return json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not a JSON file that can be read: {error}"
        ) from error


def _refuse_constant(constant):
    raise ValueError(f"{constant} is not a JSON number")
