"""BiSSL: what an alternation costs, the memory it takes, and how exact its solver is.

    python benchmarks/bissl.py --output=benchmarks/bissl.json

- cost: seconds of a step of plain SimCLR pre-training, of a lower step, and of an upper
  step by each solver. Steps of all alternate, A B C A B C, so that a machine that slows
  down slows all; ratios are medians over rounds of the ratio within a round. From them
  follows the cost of an alternation (20 lower and 8 upper steps) in plain steps, and
  per lower step.
- memory: peak resident memory of a process that makes plain steps, and of one that
  makes upper steps, each in a fresh process.
- accuracy: on a small pre-trained network in float64, the relative error of each solver
  against a direct solve with the whole Hessian, by iterations and damping.

`--parts` names what is measured; the other parts of the file stay as they are. Every
part has its own command, commit, machine and settings.
"""

import json
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import measure
import numpy as np
import tensorflow as tf
from absl import app, flags

import keras_tc2 as tc2
from keras_tc2.bilevel import proximal_hypergradient
from keras_tc2.bilevel.hessian import hessian_of
from keras_tc2.pretraining import Batch
from keras_tc2.pretraining.bissl.phases import Phase

DATA = pathlib.Path(__file__).parent.parent / "examples" / "data"
SHAPE = (28, 28, 1)
LOWER_STEPS, UPPER_STEPS = 20, 8
SOLVERS = ("conjugate_gradient", "neumann", "finite_difference", "identity")

_OUTPUT = flags.DEFINE_string("output", "benchmarks/bissl.json", "JSON to write.")
_PARTS = flags.DEFINE_list("parts", "cost,memory,accuracy", "What to measure.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images of a lower batch.")
_UPPER_BATCH = flags.DEFINE_integer("upper_batch_size", 64, "Images of an upper one.")
_ROUNDS = flags.DEFINE_integer("rounds", 30, "Timed steps of each kind.")
_PRETRAINING = flags.DEFINE_integer("steps", 200, "SimCLR steps before the accuracy.")
_CHILD = flags.DEFINE_string("child", None, "Used by the part `memory` itself.")


def new_encoder(**arguments):
    """The same small encoder every time."""
    keras.utils.set_random_seed(0)
    return tc2.encoders.create("convnet", input_shape=SHAPE, **arguments)


def plain_trainer():
    """SimCLR, compiled."""
    model = tc2.SSLPretrainer(new_encoder(), objective="nt_xent")
    model.compile(keras.optimizers.Adam(1e-4))
    return model


def bissl_trainer(solver="conjugate_gradient"):
    """BiSSL around the same encoder, compiled."""
    model = tc2.BiSSLTrainer(
        new_encoder(),
        None,
        "nt_xent",
        10,
        warmup_steps=0,
        lower_steps=LOWER_STEPS,
        upper_steps=UPPER_STEPS,
        solver=solver,
        # So that no guard stops a solver early: all iterations are timed.
        damping=1e4,
        tolerance=0.0,
    )
    model.compile(keras.optimizers.Adam(1e-4))
    return model


def batches():
    """`(views, (images, labels))`, the same every time."""
    rng = np.random.default_rng(0)
    views = rng.random((2, _BATCH_SIZE.value, *SHAPE)).astype("float32")
    images = rng.random((_UPPER_BATCH.value, *SHAPE)).astype("float32")
    labels = np.arange(_UPPER_BATCH.value) % 10
    return tuple(map(tf.constant, views)), (tf.constant(images), tf.constant(labels))


def step_of(model, phase):
    """A function that makes one step of a phase."""
    views, labelled = batches()
    first = {Phase.LOWER: 0, Phase.UPPER: LOWER_STEPS}[phase]

    def step():
        model.step_count.assign(first)
        model.train_on_batch(views, labelled)

    return step


def measure_cost():
    """Seconds of each kind of step, and of an alternation, against a plain step."""
    plain, views = plain_trainer(), batches()[0]
    steps = {
        "plain": lambda: plain.train_on_batch(*views),
        "lower": step_of(bissl_trainer(), Phase.LOWER),
    }
    for solver in SOLVERS:
        steps[f"upper, {solver}"] = step_of(bissl_trainer(solver), Phase.UPPER)
    rows = measure.summary(measure.interleaved(steps, _ROUNDS.value), "plain")
    lower = rows["lower"]["ratio"]
    alternation = {}
    for solver in SOLVERS:
        total = LOWER_STEPS * lower + UPPER_STEPS * rows[f"upper, {solver}"]["ratio"]
        alternation[solver] = {
            "in_plain_steps": total,
            "in_plain_steps_per_lower_step": total / LOWER_STEPS,
        }
    return {"steps": rows, "alternation": alternation}


def measure_memory():
    """Peak resident megabytes of a process of each kind."""
    found = {}
    for child in ("none", "plain", "lower", "upper"):
        output = subprocess.run(
            [
                sys.executable,
                __file__,
                f"--child={child}",
                f"--batch_size={_BATCH_SIZE.value}",
                f"--upper_batch_size={_UPPER_BATCH.value}",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found[child] = float(output.splitlines()[-1])
    return found


def run_child():
    """Makes five steps of a kind; prints the peak memory."""
    if _CHILD.value == "plain":
        model, views = plain_trainer(), batches()[0]
        for _ in range(5):
            model.train_on_batch(*views)
    elif _CHILD.value in ("lower", "upper"):
        step = step_of(bissl_trainer(), Phase[_CHILD.value.upper()])
        for _ in range(5):
            step()
    print(measure.peak_megabytes())


def measure_accuracy():
    """Relative errors of x against a direct solve, by damping, solver, iterations."""
    encoder = new_encoder(widths=(4, 6))
    images = tc2.data.load("fashion_mnist_subset", data_dir=DATA)
    views = tc2.data.two_views(
        images,
        batch_size=128,
        augmentation=tc2.augment.simclr(image_size=SHAPE[0], channels=1),
    )
    single = tc2.SSLPretrainer(encoder, objective="nt_xent")
    single.compile(keras.optimizers.Adam(3e-3))
    single.fit(views.repeat(), epochs=1, steps_per_epoch=_PRETRAINING.value, verbose=0)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    double = tc2.SSLPretrainer(new_encoder(widths=(4, 6)), objective="nt_xent")
    double.set_weights(single.get_weights())
    batch = tuple(tf.cast(view, "float64") for view in next(iter(views)))
    weights = [tf.constant(v.numpy()) for v in double.encoder.trainable_variables]
    sizes = [int(tf.size(weight)) for weight in weights]

    def loss(values):
        pairs = zip(double.encoder.trainable_variables, values, strict=True)
        with keras.StatelessScope(list(pairs)):
            return double.compute_losses(Batch.of(batch))[0]["loss"]

    def parts(flat):
        flat = tf.split(flat, sizes)
        return [tf.reshape(f, w.shape) for f, w in zip(flat, weights, strict=True)]

    def flat(tensors):
        return tf.concat([tf.reshape(t, [-1]) for t in tensors], 0)

    @tf.function
    def whole_hessian():
        product = hessian_of(loss, weights)
        rows = tf.eye(sum(sizes), dtype="float64")
        return tf.map_fn(lambda row: flat(product(parts(row))), rows)

    hessian = whole_hessian().numpy()
    target = np.random.default_rng(0).normal(size=sum(sizes))
    eigenvalues = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    result = {
        "parameters": sum(sizes),
        "smallest_eigenvalue": float(eigenvalues[0]),
        "largest_eigenvalue": float(eigenvalues[-1]),
        "asymmetry": float(np.max(np.abs(hessian - hessian.T))),
        "errors": [],
    }
    settings = [("conjugate_gradient", n, False) for n in (1, 2, 5, 10, 20)]
    settings += [("conjugate_gradient", 5, True), ("conjugate_gradient", 20, True)]
    settings += [("neumann", 5, False), ("finite_difference", 5, False)]
    settings += [("identity", 1, False)]
    for damping in (10.0, 100.0):
        system = np.eye(len(target)) + hessian / (0.001 + damping)
        exact = np.linalg.solve(system, target)
        for solver, iterations, per_tensor in settings:
            x, residual, fallback = tf.function(proximal_hypergradient)(
                loss,
                weights,
                parts(target),
                solver=solver,
                proximity=0.001,
                damping=damping,
                num_iterations=iterations,
                tolerance=0.0,
                per_tensor=per_tensor,
            )
            error = np.linalg.norm(flat(x) - exact) / np.linalg.norm(exact)
            row = {
                "damping": damping,
                "solver": solver,
                "iterations": iterations,
                "per_tensor": per_tensor,
                "relative_error": float(error),
                "residual": None if np.isnan(residual) else float(residual),
                "fallback": bool(fallback),
            }
            result["errors"].append(row)
            print(row, flush=True)
    return result


def main(_):
    """Measures the parts asked for."""
    if _CHILD.value:
        run_child()
        return
    output = pathlib.Path(_OUTPUT.value)
    results = json.loads(output.read_text()) if output.exists() else {}
    # The last part leaves double precision behind.
    for part, (function, settings) in {
        "memory": (measure_memory, (_BATCH_SIZE, _UPPER_BATCH)),
        "cost": (measure_cost, (_BATCH_SIZE, _UPPER_BATCH, _ROUNDS)),
        "accuracy": (measure_accuracy, (_PRETRAINING,)),
    }.items():
        if part in _PARTS.value:
            made = {**measure.machine(), "seed": 0}
            made |= {flag.name: flag.value for flag in settings}
            results[part] = {"made": made, **function()}
            output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
