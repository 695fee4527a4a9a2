"""BiSSL between pre-training and fine-tuning, against fine-tuning at once.

    python examples/bissl.py --output_dir=runs/bissl

For every seed: a small encoder is pre-trained by SimCLR on Fashion-MNIST images without
labels; then it is fine-tuned on a few labelled digits of MNIST, at once, or after
BiSSL, which goes on with SimCLR while it aligns the encoder with the digits. Controls:
BiSSL without the Hessian (`solver="identity"`), as many more steps of SimCLR as BiSSL
makes, and three times as many epochs of fine-tuning, plain and on the random crops
that BiSSL sees of the labelled images; the last also after BiSSL. All share the
pre-training, the labelled images and the seed of fine-tuning, so differences are
paired. Writes `results.json` and `table.md`.

Every arm and seed is a file of its own in `runs/`: the same command continues where it
was stopped, and more seeds, arms and settings of BiSSL can be added later. Other
settings in the same folder are refused. Choose settings with `--evaluate_on=validation`
(a fifth of the labelled images) on seeds that the final table does not use:

    python examples/bissl.py --evaluate_on=validation --seeds=100,101 --arms=BiSSL \
        --proximity_weight=0.1 --proximity_weight=1 --output_dir=runs/bissl_settings

λ is 1, chosen so, not the authors' 0.001, which is for 500 alternations: in 10 of them
it leaves the encoders to themselves.
"""

import itertools
import json
import math
import os
import pathlib
import time
import uuid

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from bissl_report import ARMS, label, table
from few_labels import load
from run_folder import check_settings, commit, flag_values, provenance, write
from validation import last_fifth

import keras_tc2 as tc2

IMAGE_SIZE = 28

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/bissl", "Where results go.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of everything that is drawn.")
_ARMS = flags.DEFINE_list("arms", list(ARMS), "What to fine-tune after.")
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of pre-training.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step of SimCLR.")
_LABELS = flags.DEFINE_integer("labels_per_class", 20, "Labelled digits.")
_EVALUATE_ON = flags.DEFINE_enum(
    "evaluate_on", "test", ["test", "validation"], "Validation is a fifth of train."
)
_TEST = flags.DEFINE_integer("test_images", 2000, "At most so many are measured on.")
_WARM_UP = flags.DEFINE_integer("warmup_steps", 150, "Steps of the head alone.")
_ALTERNATIONS = flags.DEFINE_integer("num_alternations", 10, "Of both levels.")
_LOWER = flags.DEFINE_integer("lower_steps", 20, "SimCLR steps an alternation.")
_UPPER = flags.DEFINE_integer("upper_steps", 8, "Downstream steps an alternation.")
_UPPER_BATCH = flags.DEFINE_integer("upper_batch_size", 64, "Labelled images a step.")
_PROXIMITY = flags.DEFINE_multi_float(
    "proximity_weight", 1.0, "λ, the pull between the encoders; repeat it for several."
)
_DAMPING = flags.DEFINE_multi_float("damping", 10.0, "δ of the Hessian; the same.")
_LOWER_RATE = flags.DEFINE_float("lower_learning_rate", 1e-3, "Adam's, lower level.")
_UPPER_RATE = flags.DEFINE_multi_float(
    "upper_learning_rate", 0.1, "SGD's, upper level and head; the same."
)
_EPOCHS = flags.DEFINE_integer("fine_tuning_epochs", 20, "At most.")
# Of these a folder may hold several.
_VARIED = ("output_dir", "seeds", "arms")
_VARIED += ("proximity_weight", "damping", "upper_learning_rate")


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


def crops(seed):
    """What moves a digit, but does not turn it into another."""
    return tc2.augment.RandomResizedCrop(IMAGE_SIZE, area_range=(0.7, 1.0), seed=seed)


def bissl(pretrainer, images, labelled, seed, *, upper_learning_rate, **settings):
    """Trains the pretrainer's encoder by BiSSL; what it logged in the last epoch."""
    model = tc2.BiSSLTrainer.from_pretrainer(
        pretrainer,
        downstream_head=10,
        warmup_steps=_WARM_UP.value,
        num_alternations=_ALTERNATIONS.value,
        lower_steps=_LOWER.value,
        upper_steps=_UPPER.value,
        **settings,
    )
    upper_steps = _ALTERNATIONS.value * _UPPER.value
    schedule = keras.optimizers.schedules.CosineDecay
    model.compile(
        keras.optimizers.Adam(
            schedule(_LOWER_RATE.value, _ALTERNATIONS.value * _LOWER.value)
        ),
        upper_optimizer=keras.optimizers.SGD(
            schedule(upper_learning_rate, upper_steps), momentum=0.9
        ),
        head_optimizer=keras.optimizers.SGD(upper_learning_rate, momentum=0.9),
    )
    shift = crops(seed)
    digits = tf.data.Dataset.from_tensor_slices(labelled)
    digits = digits.shuffle(len(labelled[1]), seed=seed).repeat()
    digits = digits.batch(min(_UPPER_BATCH.value, len(labelled[1])))
    digits = digits.map(lambda x, y: (shift(x), y))
    data = tf.data.Dataset.zip((views_of(images, seed + 1000).repeat(), digits))
    history = model.fit(data, epochs=1, steps_per_epoch=model.num_steps, verbose=2)
    last = {name: values[-1] for name, values in history.history.items()}
    return {name: x if math.isfinite(x) else None for name, x in last.items()}


def pretrained(seed, images, folder):
    """SimCLR's encoder and projector of a seed, trained once for a folder."""
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create("convnet", input_shape=(IMAGE_SIZE, IMAGE_SIZE, 1))
    pretrainer = tc2.SSLPretrainer(encoder, objective="nt_xent")
    path = folder / f"{seed}.npz"
    if path.exists():
        with np.load(path) as kept:
            pretrainer.set_weights([kept[name] for name in kept.files])
    else:
        simclr_steps(pretrainer, images, _STEPS.value, 1e-2, seed)
        partial = path.with_suffix(f".{uuid.uuid4().hex}.npz")
        np.savez(partial, *pretrainer.get_weights())
        os.replace(partial, path)
    return pretrainer


def run(arm, settings, seed, pretrainer, images, digits):
    """Accuracy and seconds of one arm after a pre-training."""
    train, test = digits
    labelled = few(*train, _LABELS.value, seed)
    keras.utils.set_random_seed(seed)
    began, logged = time.perf_counter(), {}
    if arm == "more SimCLR":
        steps = _ALTERNATIONS.value * _LOWER.value
        simclr_steps(pretrainer, images, steps, _LOWER_RATE.value, seed + 1000)
    elif arm.startswith("BiSSL"):
        solver = "identity" if "identity" in arm else "conjugate_gradient"
        logged = bissl(pretrainer, images, labelled, seed, solver=solver, **settings)
    seconds = time.perf_counter() - began
    crop, on_crops = crops(seed), arm.endswith("crops")
    tuned = tc2.transfer.fine_tune(
        pretrainer.encoder,
        labelled,
        tuple(part[: _TEST.value] for part in test),
        epochs=_EPOCHS.value * (3 if arm.startswith("longer") or on_crops else 1),
        augmentation=(lambda x: tf.cast(255 * crop(x), "uint8")) if on_crops else None,
        seed=seed,
    )
    return {
        "arm": arm,
        "settings": settings,
        "seed": seed,
        "accuracy": tuned["accuracy"],
        "seconds_before_fine_tuning": round(seconds, 2),
        "logged": logged,
        "commit": commit(),
    }


def variants():
    """Every arm, with the settings of BiSSL it is run with."""
    for arm in _ARMS.value:
        grid = {}
        if arm.startswith("BiSSL"):
            grid["proximity_weight"] = _PROXIMITY.value
            grid["upper_learning_rate"] = _UPPER_RATE.value
        if arm.startswith("BiSSL") and "identity" not in arm:
            grid["damping"] = _DAMPING.value
        for values in itertools.product(*grid.values()):
            yield arm, dict(zip(grid, values, strict=True))


def main(_):
    """Makes the runs that are missing, seed after seed; writes after each."""
    logging.set_verbosity(logging.WARNING)
    unknown = set(_ARMS.value) - set(ARMS)
    if unknown:
        raise app.UsageError(f"--arms: {sorted(unknown)} are not among {list(ARMS)}.")
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    for part in ("runs", "pretrained"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    settings = {k: v for k, v in flag_values().items() if k not in _VARIED}
    check_settings(folder, settings)
    images, _ = load("fashion_mnist_subset", "train")
    digits = load("mnist_subset", "train"), load("mnist_subset", "test")
    if _EVALUATE_ON.value == "validation":
        digits = last_fifth(*digits[0])
    for seed in map(int, _SEEDS.value):
        pretrainer = pretrained(seed, images, folder / "pretrained")
        start = pretrainer.get_weights()
        for arm, settings in variants():
            name = [arm.replace(" ", "_"), *settings.values(), seed]
            path = folder / "runs" / f"{'-'.join(map(str, name))}.json"
            if path.exists():
                continue
            print(f"\nseed {seed}: {arm} {settings}", flush=True)
            pretrainer.set_weights(start)
            record = run(arm, settings, seed, pretrainer, images, digits)
            write(path, json.dumps(record, indent=1))
            print(f"accuracy {100 * record['accuracy']:.2f} %", flush=True)
            report(folder)
    print(f"\nAccuracy on unseen digits, paired by seed:\n\n{report(folder)}")


def report(folder):
    """Writes what all runs of a folder say; returns the table."""
    records = [json.loads(p.read_text()) for p in (folder / "runs").glob("*.json")]
    records.sort(key=lambda record: (record["seed"], label(record)))
    results = {**provenance(), "runs": records}
    write(folder / "results.json", json.dumps(results, indent=1) + "\n")
    text = table(records)
    write(folder / "table.md", text + "\n")
    return text


if __name__ == "__main__":
    app.run(main)
