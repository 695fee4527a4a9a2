"""A folder of runs with the same settings, to which later commands add."""

import json
import os
import sys
import uuid

import keras
import tensorflow as tf
from absl import flags

import keras_tc2 as tc2
from keras_tc2.callbacks.run_facts import commit, machine


def write(path, text):
    """Writes a file whole or not at all, whatever else writes it meanwhile."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def check_settings(folder, settings):
    """Keeps the settings of a folder; refuses others.

    Raises:
        ValueError: if the folder holds runs with other settings.
    """
    path = folder / "settings.json"
    if path.exists():
        old = json.loads(path.read_text())
        keys = {**old, **settings}
        different = [key for key in keys if old.get(key) != settings.get(key)]
        if different:
            was = {key: old.get(key) for key in different}
            now = {key: settings.get(key) for key in different}
            raise ValueError(
                f"{folder} holds runs with other settings: {was}, and now {now}. They "
                "cannot share a table: give another --output_dir, or the old settings."
            )
    write(path, json.dumps(settings, indent=1))


def named(sources, name_of, taken=()):
    """`{name: source}`, by the names that results have for sources.

    Args:
        sources: list.
        name_of: callable from a source to its name.
        taken: names that the script itself gives.

    Raises:
        ValueError: if two different sources have one name, or one has a taken name.
    """
    found = dict.fromkeys(taken, "an arm of the script")
    for source in sources:
        name = name_of(source)
        if found.setdefault(name, source) != source:
            raise ValueError(
                f"{found[name]} and {source} are both {name!r} in the results: rename "
                "one, or give a link to it that has another name."
            )
    return {name: source for name, source in found.items() if name not in taken}


def flag_values():
    """What the running program was asked for."""
    chosen = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return {flag.name: flag.value for flag in chosen}


def provenance():
    """Where the numbers come from."""
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit(),
        "machine": machine(),
        "keras_tc2": tc2.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "flags": flag_values(),
    }
