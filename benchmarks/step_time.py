"""What a training step costs, TC² against base SSL: time, memory, tasks, input.

    python benchmarks/step_time.py --output=benchmarks/step_time.json

Every comparison is made in one run: the steps of all methods alternate, A B C D A B
C D, so that a machine that slows down slows all of them, and the figure is the median
over rounds of the ratio to base SSL in the same round. Peak memory is that of a process
of its own (on Linux), less what the process held before its first step. Writes JSON
and a picture beside it.

`--parts` runs some of: time, tasks, memory, jit, input.
"""

import json
import pathlib
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from measure import device, interleaved, machine, peak_megabytes, summary

_OUTPUT = flags.DEFINE_string("output", "benchmarks/step_time.json", "JSON to write.")
_PARTS = flags.DEFINE_list("parts", "time,tasks,memory,jit,input", "What to measure.")
_ENCODERS = flags.DEFINE_list("encoders", "convnet,resnet18", "Encoders.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", "128,256", "For convnet.")
_LARGE_BATCH_SIZES = flags.DEFINE_list("large_batch_sizes", "32,64", "For resnet18.")
_TASKS = flags.DEFINE_list("tasks", "2,4,8,16", "Numbers of tasks.")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Timed steps of each method.")
_JIT_SECONDS = flags.DEFINE_integer("jit_seconds", 240, "Patience with XLA.")
_XLA = flags.DEFINE_bool("xla", False, "Whether time and tasks are those under XLA.")
_PROBE = flags.DEFINE_string("probe", None, "Internal: one measurement as JSON.")

IMAGE_SHAPES = {"convnet": (28, 28, 1), "resnet18": (32, 32, 3)}
METHODS = {
    "base SSL": None,
    "cluster tasks alone, the default": {
        "task_assignment": "cluster",
        "calibration": "none",
        "num_inner_steps": 0,
    },
    "projector scope": {"inner_scope": "projector"},
    "encoder scope, first order": {"inner_scope": "encoder", "inner_order": 1},
    "encoder scope, second order": {"inner_scope": "encoder", "inner_order": 2},
}
WITHOUT_BASE = {
    "encoder scope, first order, no base term": {
        "inner_scope": "encoder",
        "inner_order": 1,
        "base_weight": 0.0,
    },
    "encoder scope, second order, no base term": {
        "inner_scope": "encoder",
        "inner_order": 2,
        "base_weight": 0.0,
    },
}


def new_step(encoder_name, batch_size, method, num_tasks=4, jit_compile=False):
    """A callable that makes one training step on fixed random views."""
    import keras
    import tensorflow as tf

    import keras_tc2 as tc2

    keras.utils.set_random_seed(0)
    shape = IMAGE_SHAPES[encoder_name]
    encoder = tc2.encoders.create(encoder_name, input_shape=shape)
    arguments = {**METHODS, **WITHOUT_BASE}[method]
    if arguments is None:
        model = tc2.SSLPretrainer(encoder, objective="nt_xent")
    else:
        model = tc2.TC2Pretrainer(
            encoder,
            objective="nt_xent",
            num_tasks=num_tasks,
            **{**tc2.recipes.full_method(), **arguments},
        )
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=jit_compile)
    step = tf.function(model.train_step, jit_compile=jit_compile)
    views = tf.constant(
        np.random.default_rng(0).random((2, batch_size, *shape)), "float32"
    )

    def run():
        logs = step((views[0], views[1]))
        return float(logs["loss"])

    return run


def batch_sizes(encoder):
    """The batch sizes that the flags give for an encoder."""
    sizes = _BATCH_SIZES if encoder == "convnet" else _LARGE_BATCH_SIZES
    return [int(size) for size in sizes.value]


def measure_time():
    """Methods against base SSL, by encoder and batch size."""
    results = {}
    for encoder in _ENCODERS.value:
        for size in batch_sizes(encoder):
            steps = {
                method: new_step(encoder, size, method, jit_compile=_XLA.value)
                for method in {**METHODS, **WITHOUT_BASE}
            }
            seconds = interleaved(steps, _ROUNDS.value)
            results[f"{encoder}, batch {size}"] = summary(seconds, "base SSL")
            show(f"{encoder}, batch {size}", results[f"{encoder}, batch {size}"])
    return results


def measure_tasks():
    """Projector scope with more and more tasks, at one batch size."""
    results = {}
    for encoder in _ENCODERS.value:
        size = batch_sizes(encoder)[-1]
        base = new_step(encoder, size, "base SSL", jit_compile=_XLA.value)
        steps = {"base SSL": base}
        for tasks in _TASKS.value:
            steps[f"{tasks} tasks"] = new_step(
                encoder,
                size,
                "projector scope",
                num_tasks=int(tasks),
                jit_compile=_XLA.value,
            )
        key = f"{encoder}, batch {size}"
        results[key] = summary(interleaved(steps, _ROUNDS.value), "base SSL")
        show(f"tasks: {key}", results[key])
    return results


def in_own_process(timeout=None, **probe):
    """One measurement in a fresh process; `None` if it took too long."""
    command = [sys.executable, __file__, f"--probe={json.dumps(probe)}"]
    try:
        printed = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, timeout=timeout
        ).stdout
    except subprocess.TimeoutExpired:
        return None
    return json.loads(printed.splitlines()[-1])


def probe(encoder, batch_size, method, jit_compile=False):
    """Peak memory in MB of three steps, and their time; printed as JSON."""
    run = new_step(encoder, batch_size, method, jit_compile=jit_compile)
    # The peak from here on.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = peak_megabytes()
    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "megabytes": peak_megabytes() - before,
                "first_step_seconds": first,
                "seconds": float(np.median(seconds)),
            }
        )
    )


def measure_memory():
    """Peak memory of each method, each in a process of its own."""
    results = {}
    for encoder in _ENCODERS.value:
        size = batch_sizes(encoder)[-1]
        rows = {
            method: in_own_process(encoder=encoder, batch_size=size, method=method)
            for method in {**METHODS, **WITHOUT_BASE}
        }
        base = rows["base SSL"]["megabytes"]
        for row in rows.values():
            row["ratio"] = row["megabytes"] / base
        results[f"{encoder}, batch {size}"] = rows
        for name, row in rows.items():
            print(
                f"  {name}: {row['megabytes']:.0f} MB, {row['ratio']:.2f}×", flush=True
            )
    return results


def measure_jit():
    """Base SSL and projector scope on the small encoder, with and without XLA."""
    results = {}
    for method in ("base SSL", "projector scope"):
        for jit_compile in (False, True):
            row = in_own_process(
                timeout=_JIT_SECONDS.value,
                encoder="convnet",
                batch_size=batch_sizes("convnet")[0],
                method=method,
                jit_compile=jit_compile,
            )
            key = f"{method}, {'XLA' if jit_compile else 'no XLA'}"
            results[key] = row or f"no step within {_JIT_SECONDS.value} s"
            print(f"  {key}: {results[key]}", flush=True)
    return results


def measure_input():
    """Images a second of the view pipeline alone, each image seen twice."""
    import keras_tc2 as tc2

    results = {}
    for size, _, channels in IMAGE_SHAPES.values():
        images = np.random.default_rng(0).integers(
            0, 256, (8192, size, size, channels), "uint8"
        )
        recipes = {
            "one recipe": tc2.augment.simclr(image_size=size, channels=channels),
            "task recipes": tc2.augment.simclr_tasks(
                image_size=size, channels=channels
            ),
        }
        for name, augmentation in recipes.items():
            views = tc2.data.two_views(
                images, batch_size=256, augmentation=augmentation
            )
            iterator = iter(views.repeat())
            for _ in range(8):
                next(iterator)
            start = time.perf_counter()
            for _ in range(40):
                next(iterator)
            rate = 40 * 256 / (time.perf_counter() - start)
            results[f"{size}×{size}×{channels}, {name}"] = rate
            print(
                f"  {size}×{size}×{channels}, {name}: {rate:.0f} images/s", flush=True
            )
    return results


def show(title, rows):
    """Prints one comparison."""
    print(title)
    for name, row in rows.items():
        print(
            f"  {name}: {row['seconds'] * 1e3:.0f} ms, {row['ratio']:.2f}×", flush=True
        )


def draw(results, path):
    """Ratios to base SSL, and the cost by number of tasks."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    groups = results.get("time", {})
    colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "k"]
    for i, method in enumerate({**METHODS, **WITHOUT_BASE}):
        # Those measured before a method was added do not have it.
        heights = [rows.get(method, {}).get("ratio", 0) for rows in groups.values()]
        positions = np.arange(len(groups)) + 0.13 * (i - 2.5)
        left.bar(positions, heights, 0.13, color=colours[i], label=method)
    left.set_xticks(range(len(groups)), groups)
    left.set(title="Time of a step over base SSL", ylabel="ratio")
    left.set_ylim(0, 1.35 * left.get_ylim()[1])
    left.legend(fontsize="small", ncols=2, loc="upper left")
    for i, (key, rows) in enumerate(results.get("tasks", {}).items()):
        names = [name for name in rows if name.endswith("tasks")]
        counts = [int(name.split()[0]) for name in names]
        ratios = [rows[name]["ratio"] for name in names]
        right.plot(counts, ratios, "o-", color=colours[i], label=key)
    right.set(
        title="Projector scope: cost by number of tasks",
        xlabel="tasks",
        ylabel="ratio to base SSL",
        ylim=(0, None),
    )
    right.legend()
    figure.savefig(path, dpi=110)


def main(_):
    """Measures the parts asked for; parts measured before stay in the file."""
    if _PROBE.value:
        probe(**json.loads(_PROBE.value))
        return
    path = pathlib.Path(_OUTPUT.value)
    results = json.loads(path.read_text()) if path.exists() else {}
    parts = {
        "time": measure_time,
        "tasks": measure_tasks,
        "memory": measure_memory,
        "jit": measure_jit,
        "input": measure_input,
    }
    for part in _PARTS.value:
        print(f"== {part}, on {device()}", flush=True)
        results.setdefault("machine", {})[part] = machine()
        results[part] = parts[part]()
        path.write_text(json.dumps(results, indent=1))
    draw(results, path.with_suffix(".png"))


if __name__ == "__main__":
    app.run(main)
