"""A folder of runs with the same settings, to which later commands add."""

import json
import os


def write(path, text):
    """Writes a file whole or not at all."""
    partial = path.with_suffix(".partial")
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
        different = [key for key in settings if old.get(key) != settings[key]]
        if different:
            was = {key: old.get(key) for key in different}
            now = {key: settings[key] for key in different}
            raise ValueError(
                f"{folder} holds runs with other settings: {was}, and now {now}. They "
                "cannot share a table: give another --output_dir, or the old settings."
            )
    write(path, json.dumps(settings, indent=1))
