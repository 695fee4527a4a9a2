"""What several benchmarks share: paired timing, and where the numbers come from."""

import os
import pathlib
import platform
import sys
import time

import numpy as np


def interleaved(steps, rounds):
    """Seconds of every step in every round, `{name: [seconds]}`, two rounds unseen."""
    seconds = {name: [] for name in steps}
    for i in range(rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if i >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds, reference):
    """Median, spread, and the paired ratio to the reference, of each step."""
    base = np.array(seconds[reference])
    rows = {}
    for name, values in seconds.items():
        ratios = np.array(values) / base
        rows[name] = {
            "seconds": float(np.median(values)),
            "seconds_quartiles": np.percentile(values, [25, 75]).tolist(),
            "ratio": float(np.median(ratios)),
            "ratio_quartiles": np.percentile(ratios, [25, 75]).tolist(),
        }
    return rows


def peak_megabytes():
    """Peak resident memory of this process, on Linux.

    That of `getrusage` may be the peak of the process which started this one.
    """
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def device():
    """The name of what TensorFlow computes on: of the first GPU, or `"CPU"`."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    return details.get("device_name", gpus[0].name)


def machine():
    """Where and of what the numbers are."""
    # Here, since some benchmarks start processes before they load TensorFlow.
    from keras_tc2.callbacks.run_facts import commit, processor

    return {
        "commit": commit(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "device": device(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "command": " ".join(["python", *sys.argv]),
    }
