"""BiSSL between pre-training and fine-tuning, against fine-tuning at once.

    python examples/bissl.py --output_dir=runs/bissl

For every seed: a small encoder is pre-trained by SimCLR on Fashion-MNIST images without
labels; then it is fine-tuned on a few labelled digits of MNIST, at once, or after
BiSSL, which goes on with SimCLR while it aligns the encoder with the digits. Controls:
BiSSL without the Hessian (`solver="identity"`), as many more steps of SimCLR as BiSSL
makes, and three times as many epochs of fine-tuning. All share the pre-training, the
labelled images and the seed of fine-tuning, so differences are paired. Writes
`results.json` and `table.md`.

λ is 0.1, not the authors' 0.001, which is for 500 alternations: in 10 of them it leaves
the encoders to themselves.
"""

import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import compare_report
import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_tc2 as tc2

DATA = pathlib.Path(__file__).parent / "data"
IMAGE_SIZE = 28
ARMS = (
    "fine-tuning",
    "longer fine-tuning",
    "more SimCLR",
    "BiSSL",
    "BiSSL, identity",
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/bissl", "Where results go.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of everything that is drawn.")
_ARMS = flags.DEFINE_list("arms", list(ARMS), "What to fine-tune after.")
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of pre-training.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step of SimCLR.")
_LABELS = flags.DEFINE_integer("labels_per_class", 20, "Labelled digits.")
_TEST = flags.DEFINE_integer("test_images", 2000, "Digits that are tested.")
_WARM_UP = flags.DEFINE_integer("warmup_steps", 150, "Steps of the head alone.")
_ALTERNATIONS = flags.DEFINE_integer("num_alternations", 10, "Of both levels.")
_LOWER = flags.DEFINE_integer("lower_steps", 20, "SimCLR steps an alternation.")
_UPPER = flags.DEFINE_integer("upper_steps", 8, "Downstream steps an alternation.")
_UPPER_BATCH = flags.DEFINE_integer("upper_batch_size", 64, "Labelled images a step.")
_PROXIMITY = flags.DEFINE_float("proximity_weight", 0.1, "Pull between the encoders.")
_LOWER_RATE = flags.DEFINE_float("lower_learning_rate", 1e-3, "Adam's, lower level.")
_UPPER_RATE = flags.DEFINE_float("upper_learning_rate", 0.1, "SGD's, upper level.")
_EPOCHS = flags.DEFINE_integer("fine_tuning_epochs", 20, "At most.")


def load(name, split):
    """All images and labels of a dataset, as arrays."""
    pairs = tc2.data.load(name, split=split, labels=True, data_dir=DATA)
    return tc2.data.as_arrays(pairs)


def few(images, labels, number, seed):
    """`number` images of each class."""
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    chosen = np.concatenate([rng.permutation(c)[:number] for c in classes])
    return images[chosen], labels[chosen]


def views_of(images, seed):
    """Two views of every image, the recipe of SimCLR."""
    augmentation = tc2.augment.simclr(image_size=IMAGE_SIZE, channels=1)
    return tc2.data.two_views(
        images, batch_size=_BATCH_SIZE.value, augmentation=augmentation, seed=seed
    )


def simclr_steps(pretrainer, images, steps, learning_rate, seed):
    """Trains by SimCLR, with Adam and a cosine schedule."""
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    pretrainer.compile(keras.optimizers.Adam(schedule))
    views = views_of(images, seed).repeat()
    pretrainer.fit(views, epochs=1, steps_per_epoch=steps, verbose=2)


def bissl(pretrainer, images, labelled, solver, seed):
    """Trains the pretrainer's encoder by BiSSL; what it logged in the last epoch."""
    model = tc2.BiSSLTrainer.from_pretrainer(
        pretrainer,
        downstream_head=10,
        warmup_steps=_WARM_UP.value,
        num_alternations=_ALTERNATIONS.value,
        lower_steps=_LOWER.value,
        upper_steps=_UPPER.value,
        proximity_weight=_PROXIMITY.value,
        solver=solver,
    )
    upper_steps = _ALTERNATIONS.value * _UPPER.value
    schedule = keras.optimizers.schedules.CosineDecay
    model.compile(
        keras.optimizers.Adam(
            schedule(_LOWER_RATE.value, _ALTERNATIONS.value * _LOWER.value)
        ),
        upper_optimizer=keras.optimizers.SGD(
            schedule(_UPPER_RATE.value, upper_steps), momentum=0.9
        ),
        head_optimizer=keras.optimizers.SGD(_UPPER_RATE.value, momentum=0.9),
    )
    # What moves a digit, but does not turn it into another.
    shift = tc2.augment.RandomResizedCrop(IMAGE_SIZE, area_range=(0.7, 1.0), seed=seed)
    digits = tf.data.Dataset.from_tensor_slices(labelled)
    digits = digits.shuffle(len(labelled[1]), seed=seed).repeat()
    digits = digits.batch(min(_UPPER_BATCH.value, len(labelled[1])))
    digits = digits.map(lambda x, y: (shift(x), y))
    data = tf.data.Dataset.zip((views_of(images, seed + 1000).repeat(), digits))
    history = model.fit(data, epochs=1, steps_per_epoch=model.num_steps, verbose=2)
    return {name: values[-1] for name, values in history.history.items()}


def run_seed(seed, images, digits):
    """Accuracy and seconds of every arm."""
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create("convnet", input_shape=(IMAGE_SIZE, IMAGE_SIZE, 1))
    pretrainer = tc2.SSLPretrainer(encoder, objective="nt_xent")
    simclr_steps(pretrainer, images, _STEPS.value, 1e-2, seed)
    start = pretrainer.get_weights()
    (train, labels), (test, test_labels) = digits
    labelled = few(train, labels, _LABELS.value, seed)
    results = {}
    for arm in _ARMS.value:
        print(f"\nseed {seed}: {arm}", flush=True)
        pretrainer.set_weights(start)
        keras.utils.set_random_seed(seed)
        began, logged = time.perf_counter(), {}
        if arm == "more SimCLR":
            steps = _ALTERNATIONS.value * _LOWER.value
            simclr_steps(pretrainer, images, steps, _LOWER_RATE.value, seed + 1000)
        elif arm.startswith("BiSSL"):
            solver = "identity" if arm.endswith("identity") else "conjugate_gradient"
            logged = bissl(pretrainer, images, labelled, solver, seed)
        seconds = time.perf_counter() - began
        tuned = tc2.transfer.fine_tune(
            encoder,
            labelled,
            (test[: _TEST.value], test_labels[: _TEST.value]),
            epochs=_EPOCHS.value * (3 if arm == "longer fine-tuning" else 1),
            seed=seed,
        )
        results[arm] = {
            "accuracy": tuned["accuracy"],
            "seconds_before_fine_tuning": seconds,
            "logged": logged,
        }
        print(f"accuracy {100 * tuned['accuracy']:.2f} %", flush=True)
    return results


def table(runs):
    """One row an arm: accuracy, and its paired difference to fine-tuning at once."""
    first = _ARMS.value[0]
    lines = [
        f"| before fine-tuning | accuracy, % | minus {first}, points | seeds above | "
        "seconds |",
        "|---|---:|---:|---:|---:|",
    ]
    for arm in _ARMS.value:
        scores = np.array([100 * run[arm]["accuracy"] for run in runs.values()])
        base = np.array([100 * run[first]["accuracy"] for run in runs.values()])
        seconds = [run[arm]["seconds_before_fine_tuning"] for run in runs.values()]
        gain = scores - base
        cells = [arm, mean_and_spread(scores)]
        cells += (
            ["", ""]
            if arm == first
            else [
                mean_and_spread(gain, sign="+"),
                f"{np.sum(gain > 0)}/{len(gain)}",
            ]
        )
        lines.append(f"| {' | '.join(cells)} | {np.mean(seconds):.0f} |")
    return "\n".join(lines)


def mean_and_spread(values, sign=""):
    """Mean and standard deviation over seeds."""
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.2f}{spread}"


def provenance():
    """Where the numbers come from."""
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": compare_report.commit(),
        "machine": compare_report.machine(),
        "keras_tc2": tc2.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "flags": {
            flag.name: flag.value
            for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])
        },
    }


def main(_):
    """Runs every seed; writes after each."""
    logging.set_verbosity(logging.WARNING)
    unknown = set(_ARMS.value) - set(ARMS)
    if unknown:
        raise app.UsageError(f"--arms: {sorted(unknown)} are not among {list(ARMS)}.")
    folder = pathlib.Path(_OUTPUT_DIR.value)
    folder.mkdir(parents=True, exist_ok=True)
    images, _ = load("fashion_mnist_subset", "train")
    digits = load("mnist_subset", "train"), load("mnist_subset", "test")
    runs = {}
    for seed in _SEEDS.value:
        runs[seed] = run_seed(int(seed), images, digits)
        results = {**provenance(), "runs": runs}
        (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = table(runs)
    (folder / "table.md").write_text(text + "\n")
    print(f"\nAccuracy on unseen digits, {len(runs)} paired seeds:\n\n{text}")


if __name__ == "__main__":
    app.run(main)
