"""The same ResNet-18 SimCLR step in PyTorch and in this library, beside the peak.

    python benchmarks/vs_pytorch.py --output=benchmarks/vs_pytorch.json

PyTorch is optional and only for this comparison; it runs in a process of its own (see
`pytorch_steps.py`), eager and by `torch.compile`, channels last, with automatic mixed
precision and its fused Adam. Same architecture (ResNet-18 V2, small image stem), same
number of weights, batch, loss and optimizer; on whatever device there is; the steps of
all take turns. The machine's peak is that of a matrix product in the same run; the
share of it that a step reaches is its arithmetic (three times that of the forward
pass's convolutions) over its time.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from measure import device, machine, summary

_OUTPUT = flags.DEFINE_string("output", "benchmarks/vs_pytorch.json", "JSON to write.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images; twice as many views.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed steps of each.")
_XLA = flags.DEFINE_bool("xla", False, "Whether to time XLA on a CPU too.")
_PYTORCH_PYTHON = flags.DEFINE_string(
    "pytorch_python", sys.executable, "Python that has PyTorch."
)
WIDTHS = (64, 128, 256, 512)
REFERENCE = "PyTorch float32, eager"


class PyTorch:
    """`pytorch_steps.py` in a process of its own, that steps when asked."""

    def __init__(self, python, batch_size):
        script = pathlib.Path(__file__).with_name("pytorch_steps.py")
        # What is there for TensorFlow may hide the libraries that PyTorch wants.
        hidden = ("PYTHONPATH", "LD_LIBRARY_PATH")
        self.process = subprocess.Popen(
            [python, str(script), str(batch_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: v for name, v in os.environ.items() if name not in hidden},
        )
        line = self.process.stdout.readline()
        if not line:
            said = self.process.communicate()[1].strip().splitlines()[-1:]
            raise SystemExit(
                f"No PyTorch to compare with: {' '.join(said)}. `pip install torch`, "
                "or name the Python that has it by `--pytorch_python`."
            )
        self.about = json.loads(line)

    def seconds(self, name):
        """Seconds of a step."""
        print(name, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer["seconds"]


def keras_step(views, policy, jit_compile):
    """Seconds of the library's own step, when called, and its number of weights."""
    import keras
    import tensorflow as tf

    import keras_tc2 as tc2

    keras.config.set_dtype_policy(policy)
    encoder = tc2.encoders.create("resnet18", input_shape=(32, 32, 3))
    model = tc2.SSLPretrainer(encoder, objective=tc2.objectives.NTXent(0.2))
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=jit_compile)
    keras.config.set_dtype_policy("float32")
    train_step = tf.function(model.train_step, jit_compile=jit_compile)
    views = tuple(tf.constant(view) for view in views)

    def seconds():
        start = time.perf_counter()
        float(train_step(views)["loss"])
        return time.perf_counter() - start

    return seconds, sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def matmul_peak(dtype, size=2048):
    """Best of ten: multiply-adds × 2 a second of a matrix product."""
    import tensorflow as tf

    a = tf.cast(tf.random.normal((size, size), seed=0), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    product()
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        product().numpy()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def forward_flops(image_size=32):
    """Floating-point operations of one image's forward pass: convolutions alone."""
    flops, side, inputs = 2 * image_size**2 * 9 * 3 * 64, image_size, 64
    for stage, width in enumerate(WIDTHS):
        for block in range(2):
            side = side // 2 if stage and not block else side
            flops += 2 * side**2 * 9 * (inputs * width + width * width)
            flops += 2 * side**2 * inputs * width if block == 0 else 0
            inputs = width
    return flops


def timed(steps, rounds):
    """`{name: [seconds]}` of steps that take turns, and what failed, with its reason.

    The first three of each are not counted: they trace, compile and choose kernels.
    """
    seconds, failed = {name: [] for name in steps}, {}
    for number in range(rounds + 3):
        for name, step in steps.items():
            if name in failed:
                continue
            try:
                taken = step()
            except RuntimeError as error:
                failed[name] = str(error)
                del seconds[name]
            else:
                if number >= 3:
                    seconds[name].append(taken)
    return seconds, failed


def main(_):
    """Measures, prints and writes."""
    peer = PyTorch(_PYTORCH_PYTHON.value, _BATCH_SIZE.value)
    on = device()
    print(
        f"PyTorch {peer.about['version']} on {peer.about['device']}, keras_tc2 on {on}"
    )
    rng = np.random.default_rng(0)
    views = rng.random((2, _BATCH_SIZE.value, 32, 32, 3)).astype("float32")
    steps = {
        name: functools.partial(peer.seconds, name) for name in peer.about["steps"]
    }
    weights = dict.fromkeys(steps, peer.about["weights"])
    for policy in ("float32", "mixed_bfloat16"):
        for jit_compile in (False, True) if on != "CPU" or _XLA.value else (False,):
            name = f"keras_tc2 {policy}{', XLA' if jit_compile else ''}"
            steps[name], weights[name] = keras_step(views, policy, jit_compile)
    seconds, failed = timed(steps, _ROUNDS.value)
    rows = summary(seconds, REFERENCE)
    size = 2048 if on == "CPU" else 8192
    peaks = {dtype: matmul_peak(dtype, size) for dtype in ("float32", "bfloat16")}
    flops = 3 * forward_flops() * 2 * _BATCH_SIZE.value
    for name, row in rows.items():
        peak = peaks["bfloat16" if "bfloat16" in name else "float32"]
        row["weights"] = weights[name]
        row["share_of_peak"] = flops / row["seconds"] / peak
        print(
            f"{name}: {row['seconds']:.4f} s, {row['ratio']:.2f}× {REFERENCE}, "
            f"{100 * row['share_of_peak']:.0f} % of peak, {row['weights']} weights"
        )
    for name, reason in failed.items():
        print(f"{name}: not measured, {reason}")
    results = {
        "machine": machine(),
        "pytorch": peer.about,
        "peak_flops": peaks,
        "steps": rows,
        "failed": failed,
    }
    pathlib.Path(_OUTPUT.value).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
