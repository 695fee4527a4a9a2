"""Flags from a command line, and from a YAML file in their place."""

import json
import pathlib

import yaml
from absl import flags

from keras_tc2 import checks


def read_settings(values, arguments):
    """Parses flags; what a `--config` file says holds where no flag is given.

    A key without a value leaves the flag at its default.

    Args:
        values: `absl.flags.FlagValues` with the flags of a command.
        arguments: list of str, the command's name first.

    Returns:
        List of str, the arguments that are no flags, the name first.

    Raises:
        absl.flags.Error: if a flag or a key of the file is unknown, or has a value of
            another type.
    """
    rest = values(arguments)
    if values["config"].value is None:
        return rest
    given = {name for name in values if values[name].present}
    for name, value in _read(values["config"].value).items():
        if name not in values or name == "config":
            hint = checks.did_you_mean(name, list(values))
            raise flags.Error(f"{values['config'].value}: no flag {name!r}.{hint}")
        if name not in given and value is not None:
            values[name].parse(_as_flag(value))
    return rest


def _as_flag(value):
    """A value of YAML as a command line would give it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _read(path):
    try:
        text = pathlib.Path(path).expanduser().read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise flags.Error(f"There is no file {path}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise flags.Error(f"{path} is no YAML file: {error}") from error
    if not isinstance(content, dict):
        raise flags.Error(f"{path} must hold `flag: value` lines")
    return content


def chosen(values, *names):
    """Raises `ValueError` if a flag that a command needs is not given."""
    for name in names:
        if not values[name].value:
            raise ValueError(f"--{name} is needed. See --help.")
