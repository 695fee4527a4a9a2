"""What a reader must know of a run beside its numbers: model, optimizer, versions."""

import os
import pathlib
import platform
import subprocess
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from keras_tc2.transfer.features.encoder_name import encoder_name
from keras_tc2.version import __version__

# Of a Keras object's config: what it is called, and what Keras alone asks.
NOT_TOLD = {"name", "trainable", "dtype", "encoder", "objective", "projector"}


def run_facts(model, *, params, num_epochs, seconds, begun):
    """`(name, text)` of each fact, for a table.

    Args:
        model: the compiled model of the run.
        params: dict, Keras's `Callback.params`.
        num_epochs: int >= 1. Epochs of this start of the run so far.
        seconds: float. How long they took.
        begun: float. When, as `time.time` tells.

    Returns:
        List of pairs of str.
    """
    encoder = getattr(model, "encoder", None)
    facts = [("model", _described(model))]
    if encoder is not None:
        shape = "×".join(map(str, getattr(encoder, "image_shape", ()) or ()))
        text = f"{encoder_name(encoder)}, {encoder.count_params():,} weights"
        facts.append(("encoder", text + (f", images {shape}" if shape else "")))
    if getattr(model, "objective", None) is not None:
        facts.append(("objective", _described(model.objective)))
    facts += [(name, _described(each)) for name, each in _optimizers(model)]
    steps = params.get("steps")
    facts += [
        ("steps an epoch", "unknown" if steps is None else f"{steps:,}"),
        (
            "duration",
            f"{duration(seconds)} for {num_epochs} epoch{'s' * (num_epochs > 1)}, "
            f"{duration(seconds / num_epochs)} each, callbacks included",
        ),
        ("begun", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(begun))),
        ("versions", versions()),
        ("machine", ", ".join([machine(), *_gpus()])),
    ]
    known = commit()
    return facts + ([("commit of the script", known)] if known else [])


def versions():
    """Versions of the library and of what it computes with, as a str."""
    found = {
        "keras_tc2": __version__,
        "Keras": keras.__version__,
        "TensorFlow": tf.__version__,
        "NumPy": np.__version__,
        "Python": platform.python_version(),
    }
    return ", ".join(f"{name} {version}" for name, version in found.items())


def commit():
    """The short hash of the commit that the running script is at, as a str.

    `None` outside a repository, or where there is no git.
    """
    folder = pathlib.Path(sys.argv[0]).resolve().parent
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return result.stdout.strip() or None


def machine():
    """Processor and number of cores, as a str."""
    return f"{processor()}, {os.cpu_count()} cores"


def processor():
    """The processor's name, as a str."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if line[:10] == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def duration(seconds):
    """Seconds in words: `"8.1 s"`, `"3 min 20 s"`, `"2 h 5 min"`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _optimizers(model):
    """`(name, optimizer)` of all that a model has."""
    for name in ("optimizer", *getattr(model, "further_optimizers", ())):
        optimizer = getattr(model, name, None)
        if optimizer is not None:
            yield name.replace("_", " "), optimizer


def _described(thing):
    """An object by its class and the arguments that its config tells."""
    try:
        config = thing.get_config()
    except (NotImplementedError, TypeError):  # It holds what Keras cannot tell.
        config = {}
    return _call(type(thing).__name__, config)


def _call(name, config):
    told = (
        f"{key}={_value(value)}"
        for key, value in config.items()
        if key not in NOT_TOLD
        and value is not None
        and value is not False
        and (key != "ema_momentum" or config.get("use_ema"))
    )
    return f"{name}({', '.join(told)})"


def _value(value):
    if isinstance(value, dict) and "class_name" in value:
        return _call(value["class_name"], value.get("config") or {})
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _gpus():
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [detail.get("device_name", "GPU") for detail in details]
