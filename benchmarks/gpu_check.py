"""Whether the library is right on this machine's GPU, in one command.

    python benchmarks/gpu_check.py --output=gpu_check.json

A Markdown table, row by row as results come, since a run that is cut off shows only
what was printed: gradients against the CPU's; training that repeats, and that is killed
and goes on; strategies; every objective, plain and TC², in three precisions, without
and with XLA; then the tests, by `pytest -n 8`, for `--test_seconds`, their failures
named. Rows are dealt to several processes. What would begin after `--seconds` stands
there as "not run"; a row that has begun may take 150 s more. Without
a GPU it checks the CPU, and says so.
"""

import itertools
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

from absl import app, flags
from measure import device, machine

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The many rows of objectives come late, so that they leave time for the others.
SECTIONS = ("gradients", "repeats", "strategies", "objectives", "tests")
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
ROW_SECONDS = 150
STEPS = 8

_OUTPUT = flags.DEFINE_string("output", None, "JSON to write; none by default.")
_SECTIONS = flags.DEFINE_list("sections", list(SECTIONS), f"Any of {SECTIONS}.")
_ONLY = flags.DEFINE_string("only", "", "Only rows whose name has this expression.")
_SECONDS = flags.DEFINE_float("seconds", 240, "After which no more rows begin.")
_TEST_SECONDS = flags.DEFINE_float("test_seconds", 900, "For the tests, beside that.")
_PROCESSES = flags.DEFINE_integer(
    "processes", max(1, (os.cpu_count() or 2) // 2), "That share the rows.", 1
)
_WORKER = flags.DEFINE_bool("worker", False, "Internal: checks rows from its input.")
_TRAIN = flags.DEFINE_string("train", None, "Internal: trains, and writes weights.")
_STRATEGY = flags.DEFINE_string("strategy", "none", "Internal: of that training.")
_KILL_AT = flags.DEFINE_integer("kill_at", None, "Internal: the step to die after.")
_CHECKPOINTS = flags.DEFINE_string("checkpoints", None, "Internal: folder of them.")


def rows(sections):
    """`(section, name, arguments)` of every row but the tests."""
    from keras_tc2 import objectives

    table = {
        "gradients": [
            {"scope": scope, "order": order, "assignment": assignment}
            for scope, order, assignment in itertools.product(
                ("projector", "encoder"), (1, 2), ("blocks", "cluster")
            )
        ],
        # What most users run comes first, should the time run out.
        "objectives": [
            {"objective": name, "kind": kind, "policy": policy, "xla": xla}
            for xla, policy, kind, name in itertools.product(
                (False, True), POLICIES, ("plain", "TC²"), objectives.names()
            )
        ],
        "repeats": [{"what": "twice"}, {"what": "killed"}],
        "strategies": [{"strategy": "one"}, {"strategy": "two"}],
    }
    for section in sections:
        for arguments in table.get(section, []):
            values = (
                ("XLA" if value else "no XLA") if key == "xla" else f"{value}"
                for key, value in arguments.items()
            )
            name = ", ".join(values)
            if re.search(_ONLY.value, name):
                yield section, name, arguments


def device_kind():
    """Of what is checked: `"GPU"` or `"CPU"`."""
    return "CPU" if device() == "CPU" else "GPU"


def _views(batch_size=16, dtype="float32"):
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.random((batch_size, 12, 12, 3))
    noise = 0.2 * rng.random((2, batch_size, 12, 12, 3))
    return tuple((0.8 * images + noise).astype(dtype))


def _pretrainer(objective, kind, *, synchronized=False, **arguments):
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(12, 12, 3), widths=(8, 16))
    if synchronized:
        tc2.layers.synchronize(encoder)
    projector = tc2.layers.ProjectionHead(8, hidden_dim=16, synchronized=synchronized)
    if kind == "plain":
        return tc2.SSLPretrainer(encoder, objective=objective, projector=projector)
    arguments = {**tc2.recipes.full_method(), **arguments}
    return tc2.TC2Pretrainer(
        encoder,
        objective=objective,
        projector=projector,
        num_tasks=2,
        num_factors=4,
        **arguments,
    )


def check_gradients(scope, order, assignment):
    """Largest relative error of a gradient against the CPU's, in float64."""
    import keras
    import numpy as np
    import tensorflow as tf

    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    kind = device_kind()
    found, weights = [], None
    for place in (f"{kind}:0", "CPU:0"):
        with tf.device(place):
            model = _pretrainer(
                "nt_xent",
                "TC²",
                inner_scope=scope,
                inner_order=order,
                task_assignment=assignment,
            )
            weights = model.get_weights() if weights is None else weights
            rng = np.random.default_rng(1)
            # Off the start, where some gradients are zero.
            model.set_weights([w + 0.1 * rng.random(w.shape) for w in weights])
            views = map(tf.constant, _views(dtype="float64"))
            _, gradients = tf.function(model.value_and_gradients)(*views)
            found.append([np.asarray(gradient) for gradient in gradients])
    error = max(
        float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-12))
        for a, b in zip(*found, strict=True)
    )
    if not error < 1e-8:
        raise AssertionError(f"relative error {error:.1e}")
    return f"relative error {error:.1e}"


def check_objectives(objective, kind, policy, xla):
    """Three steps by `fit`: finite losses, and weights that move."""
    import keras
    import numpy as np
    import tensorflow as tf

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    model = _pretrainer(objective, kind)
    optimizer = keras.optimizers.SGD(0.01)
    if policy == "mixed_float16":
        # Small enough for the first step not to overflow.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
    model.compile(optimizer, jit_compile=xla)
    before = model.encoder.get_weights()
    data = tf.data.Dataset.from_tensors(_views()).repeat(3)
    history = model.fit(data, verbose=0).history
    after = model.encoder.get_weights()
    if not np.isfinite(history["loss"][0]) or history["skipped_updates"] != [0]:
        raise AssertionError(f"loss {history['loss']}, {history['skipped_updates']}")
    if not any(np.any(a != b) for a, b in zip(before, after, strict=True)):
        raise AssertionError("no weight has moved")
    return f"loss {history['loss'][0]:.3f}"


def train():
    """A deterministic run under a strategy, whose weights are written to a file."""
    import keras
    import numpy as np
    import tensorflow as tf

    import keras_tc2 as tc2

    kind = device_kind()
    if _STRATEGY.value == "two":
        halves = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
        if kind == "GPU":
            # Two halves of a card must say how much of it they take.
            halves = [tf.config.LogicalDeviceConfiguration(memory_limit=2048)] * 2
        physical = tf.config.list_physical_devices(kind)[0]
        tf.config.set_logical_device_configuration(physical, halves)
    tf.config.experimental.enable_op_determinism()
    strategy = tf.distribute.get_strategy()
    if _STRATEGY.value != "none":
        count = {"one": 1, "two": 2}[_STRATEGY.value]
        strategy = tf.distribute.MirroredStrategy(
            [f"{kind}:{n}" for n in range(count)],
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    keras.utils.set_random_seed(0)
    with strategy.scope():
        objective = tc2.objectives.NTXent(gather=True)
        # What is one device's on several: all negatives, all statistics.
        method = "plain" if _CHECKPOINTS.value is None else "TC²"
        model = _pretrainer(objective, method, synchronized=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
    images = (np.random.default_rng(0).random((64, 12, 12, 3)) * 255).astype("uint8")
    views = tc2.data.two_views(images, batch_size=16)
    callbacks = []
    if _CHECKPOINTS.value is not None:
        # Deterministic operations, and one replica's tasks.
        callbacks = [
            tc2.callbacks.ResumableCheckpoint(_CHECKPOINTS.value, every_steps=1)
        ]

    class Die(keras.callbacks.Callback):
        """Ends the process as a power cut would."""

        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == _KILL_AT.value:
                os.kill(os.getpid(), signal.SIGKILL)

    if _KILL_AT.value is not None:
        callbacks.append(Die())
    epochs = STEPS // 4
    model.fit(views, epochs=epochs, verbose=0, callbacks=callbacks)
    weights = {str(n): w for n, w in enumerate(model.get_weights())}
    np.savez(_TRAIN.value, **weights)


def _trained(folder, name, *arguments, killed=False):
    """The weights that a training in a process of its own has left."""
    import numpy as np

    path = pathlib.Path(folder) / f"{name}.npz"
    command = [sys.executable, __file__, f"--train={path}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=_environment())
    expected = -signal.SIGKILL if killed else 0
    if result.returncode != expected:
        raise AssertionError(f"ended with {result.returncode}: {result.stderr[-300:]}")
    return None if killed else np.load(path)


def _environment():
    # Whole float32, where results are compared with one another.
    return {**os.environ, "NVIDIA_TF32_OVERRIDE": "0"}


def _difference(a, b):
    import numpy as np

    return max(float(np.max(np.abs(a[name] - b[name]))) for name in a.files)


def check_repeats(what):
    """Runs that must end with the same weights, bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        once = _trained(folder, "a", f"--checkpoints={folder}/a")
        again = f"--checkpoints={folder}/b"
        if what == "killed":
            _trained(folder, "b", again, f"--kill_at={STEPS // 2 + 1}", killed=True)
        difference = _difference(once, _trained(folder, "b", again))
    if difference:
        raise AssertionError(f"weights differ by {difference:.1e}")
    return "the same bits"


def check_strategies(strategy):
    """`MirroredStrategy` against no strategy: equal on one device, close on two."""
    with tempfile.TemporaryDirectory() as folder:
        none = _trained(folder, "none")
        difference = _difference(
            none, _trained(folder, strategy, f"--strategy={strategy}")
        )
    if difference > {"one": 0.0, "two": 1e-4}[strategy]:
        raise AssertionError(f"weights differ by {difference:.1e}")
    return f"weights differ by {difference:.1e}"


CHECKS = {
    "gradients": check_gradients,
    "objectives": check_objectives,
    "repeats": check_repeats,
    "strategies": check_strategies,
}


def work():
    """Answers each line of the input, a row, with a line, its result."""
    # Others print to the output too.
    output, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        section, arguments = json.loads(line)
        try:
            result = {"ok": True, "result": CHECKS[section](**arguments)}
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            result = {"ok": False, "result": f"**FAILED** {text[:300]}"}
        output.write(json.dumps(result) + "\n")
        output.flush()


def run_rows(todo, show):
    """Deals rows to workers, and shows each result as it comes."""
    waiting = queue.SimpleQueue()
    for row in todo:
        waiting.put(row)
    deadline = time.monotonic() + _SECONDS.value

    def serve():
        worker = None
        while not waiting.empty():
            try:
                section, name, arguments = waiting.get_nowait()
            except queue.Empty:
                break
            if time.monotonic() > deadline:
                show(section, name, {"ok": None, "result": "not run"}, 0.0)
                continue
            worker = worker or subprocess.Popen(
                [sys.executable, __file__, "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=_environment() if section == "gradients" else os.environ,
                # So that what it starts ends with it.
                start_new_session=True,
            )
            start = time.monotonic()
            watch = threading.Timer(
                ROW_SECONDS, os.killpg, [worker.pid, signal.SIGKILL]
            )
            watch.start()
            try:
                worker.stdin.write(json.dumps([section, arguments]) + "\n")
                worker.stdin.flush()
                result = json.loads(worker.stdout.readline() or "null")
            # It ended, or something else in it printed.
            except (BrokenPipeError, ValueError):
                result = None
            watch.cancel()
            if result is None:
                worker.kill()
                worker = None
                result = {"ok": False, "result": "**FAILED** no answer"}
            show(section, name, result, time.monotonic() - start)
        if worker is not None:
            worker.stdin.close()
            worker.wait()

    threads = [threading.Thread(target=serve) for _ in range(_PROCESSES.value)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_tests(show):
    """The suite, and the names of what failed in it."""
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-n", "8", "--tb=line"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=_TEST_SECONDS.value)
        lines = output.splitlines()
        closing = lines[-1] if lines else "no output"
    except subprocess.TimeoutExpired:
        # An interrupted pytest names what has failed so far.
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        lines, closing = output.splitlines(), "not run to its end"
    result = {"ok": process.returncode == 0, "result": closing}
    show("tests", "pytest -n 8", result, time.monotonic() - start)
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            show("tests", line.split()[1], {"ok": False, "result": line[:300]}, 0.0)


def main(_):
    """Prints the table, and ends with status 1 if a row has failed."""
    if _WORKER.value:
        return work()
    if _TRAIN.value:
        return train()
    unknown = set(_SECTIONS.value) - set(SECTIONS)
    if unknown:
        raise app.UsageError(f"--sections takes any of {SECTIONS}, not {unknown}.")
    about = machine()
    print(f"On {about['device']}; {about['cpu']}, commit {about['commit']}\n")
    print("| section | row | result | s |\n| --- | --- | --- | ---: |", flush=True)
    found, lock = [], threading.Lock()

    def show(section, name, result, seconds):
        with lock:
            found.append({"section": section, "row": name, **result})
            found[-1]["seconds"] = round(seconds, 1)
            text = f"| {section} | {name} | {result['result']} | {seconds:.1f} |"
            print(text, flush=True)

    todo = list(rows(_SECTIONS.value))
    run_rows(todo, show)
    answered = {(row["section"], row["row"]) for row in found}
    for section, name, _ in todo:
        if (section, name) not in answered:
            show(section, name, {"ok": False, "result": "**FAILED** lost"}, 0.0)
    if "tests" in _SECTIONS.value:
        run_tests(show)
    counts = [sum(row["ok"] is kind for row in found) for kind in (True, False, None)]
    print(f"\n{counts[0]} passed, {counts[1]} failed, {counts[2]} not run")
    if _OUTPUT.value:
        results = {"machine": about, "rows": found}
        pathlib.Path(_OUTPUT.value).write_text(json.dumps(results, indent=1))
    sys.exit(bool(counts[1]))


if __name__ == "__main__":
    app.run(main)
