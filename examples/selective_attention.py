"""Selective attention over several encoders, and residual features, with few labels.

    python examples/selective_attention.py --output_dir=runs/selective_attention

Pre-trains one small encoder on Fashion-MNIST images without labels for each of several
objectives, then classifies digits of MNIST from 1, 5, 10 and 50 labelled images a
class, with five draws of them: by attention over all encoders, and by every baseline
(each encoder's linear probe, a linear probe of all features, equal weights, and the
best single encoder fine-tuned). In the same table, residual features: a small encoder
trained from scratch beside a source that helps, beside a useless source, which knows
nothing of an image but its brightness, and alone.
Writes `results.json`, `table.md` and `attention.png`.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import compare_report
import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_tc2 as tc2

DATA = pathlib.Path(__file__).parent / "data"
SHAPE = (28, 28, 1)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/selective_attention", "Where results go."
)
_OBJECTIVES = flags.DEFINE_list(
    "objectives", ["nt_xent", "vicreg", "byol", "swav"], "One encoder each."
)
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of each pre-training.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_SHOTS = flags.DEFINE_list("shots", ["1", "5", "10", "50"], "Labelled images a class.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Draws of the labels.")
_TEST = flags.DEFINE_integer("test_images", 2000, "Digits that are tested.")
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Of attention.")
_TUNING = flags.DEFINE_integer("fine_tuning_epochs", 10, "At most; 0 for none.")
_RESIDUAL = flags.DEFINE_integer("residual_steps", 150, "Steps of residual features.")


def load(name, split):
    """All images and labels of a dataset, as arrays."""
    pairs = tc2.data.load(name, split=split, labels=True, data_dir=DATA)
    return tc2.data.as_arrays(pairs)


def new_encoder(seed, **arguments):
    """A small encoder with the weights of a seed."""
    keras.utils.set_random_seed(seed)
    return tc2.encoders.create("convnet", input_shape=SHAPE, **arguments)


def pretrained(objective, images):
    """An encoder pre-trained with an objective."""
    print(f"\npre-training: {objective}", flush=True)
    encoder = new_encoder(0)
    model = tc2.SSLPretrainer(encoder, objective=objective)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, _STEPS.value)
    model.compile(keras.optimizers.Adam(schedule))
    views = tc2.data.two_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.simclr(image_size=SHAPE[0], channels=1),
    )
    model.fit(views.repeat(), epochs=1, steps_per_epoch=_STEPS.value, verbose=2)
    return encoder


def useless(encoder):
    """A source whose features know nothing of an image but its brightness."""
    keras.utils.set_random_seed(99)
    images = keras.Input(SHAPE)
    x = keras.layers.GlobalAveragePooling2D()(images)
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Dense(encoder.feature_dim, bias_initializer="ones")(x)
    return keras.Model(images, x, name="useless")


def residual_accuracies(sources, labelled, test, seed):
    """Accuracy of a small encoder from scratch, alone and beside frozen sources."""
    images, labels = labelled
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(len(labels), seed=seed).repeat().batch(min(64, len(labels)))
    rows = {}
    for name, source in {"small encoder alone": None, **sources}.items():
        target = new_encoder(seed, widths=(8, 16, 32))
        if source is None:
            normalization = keras.layers.LayerNormalization(center=False, scale=False)
            head = keras.layers.Dense(10)
            model = keras.Sequential([keras.Input(SHAPE), target, normalization, head])
        else:
            model = tc2.transfer.ResidualFeatureClassifier(source, target, 10)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(3e-3), loss=loss, metrics=["accuracy"])
        model.fit(data, epochs=1, steps_per_epoch=_RESIDUAL.value, verbose=0)
        rows[name] = model.evaluate(*test, batch_size=256, verbose=0)[1]
    return rows


def few(labels, number, seed):
    """Positions of `number` images of each class."""
    rng = np.random.default_rng([seed, number])
    classes = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    return np.concatenate([rng.permutation(c)[:number] for c in classes])


def table(results):
    """One row a method, one column a number of labels: mean and sd over seeds."""
    shots = list(results)
    rows = list(dict.fromkeys(n for runs in results.values() for r in runs for n in r))
    lines = [
        f"| labels a class | {' | '.join(shots)} |",
        "|---|" + "---:|" * len(shots),
    ]
    for name in rows:
        cells = []
        for number in shots:
            values = [100 * run[name] for run in results[number] if name in run]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}" if values else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(results, name):
    """Paired differences of a method to each other one, mean and sd, in points."""
    found = {}
    for number, runs in results.items():
        for other in runs[0]:
            gaps = [100 * (run[name] - run[other]) for run in runs]
            spread = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else None
            found.setdefault(other, {})[number] = [float(np.mean(gaps)), spread]
    del found[name]
    return found


def main(_):
    """Pre-trains, compares, draws."""
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(_OUTPUT_DIR.value)
    folder.mkdir(parents=True, exist_ok=True)
    unlabelled, _ = load("fashion_mnist_subset", "train")
    images, labels = load("mnist_subset", "train")
    test = tuple(part[: _TEST.value] for part in load("mnist_subset", "test"))
    encoders = {name: pretrained(name, unlabelled) for name in _OBJECTIVES.value}
    sources = {
        "residual, helpful source": encoders[_OBJECTIVES.value[0]],
        "residual, useless source": useless(encoders[_OBJECTIVES.value[0]]),
    }
    attention = tc2.transfer.SelectiveAttentionClassifier(list(encoders.values()), 10)
    features, test_features = attention.encode(images), attention.encode(test[0])

    results = {}
    for seed in map(int, _SEEDS.value):
        for number in _SHOTS.value:
            chosen = few(labels, int(number), seed)
            labelled = images[chosen], labels[chosen]
            tuning = {"epochs": _TUNING.value} if _TUNING.value else False
            rows = tc2.transfer.compare_encoders(
                encoders,
                labelled,
                test,
                train_features=[part[chosen] for part in features],
                test_features=test_features,
                epochs=_EPOCHS.value,
                fine_tuning=tuning,
                seed=seed,
            )
            rows |= residual_accuracies(sources, labelled, test, seed)
            results.setdefault(number, []).append(rows)
            print(number, "a class, seed", seed, rows, flush=True)
            write(folder, results)
    attention.compile(keras.optimizers.Adam(3e-3))
    parts = [part[chosen] for part in features]
    attention.fit(parts, labels[chosen], epochs=_EPOCHS.value, verbose=0)
    attention.plot_attention(
        test_features, test[1], names=list(encoders), path=folder / "attention.png"
    )
    print(f"\nAccuracy on unseen digits in %:\n\n{table(results)}")


def write(folder, results):
    """The table, and everything beside it."""
    record = {
        "command": " ".join(["python", *sys.argv]),
        "commit": compare_report.commit(),
        "machine": compare_report.machine(),
        "keras_tc2": tc2.__version__,
        "tensorflow": tf.__version__,
        "flags": {
            flag.name: flag.value
            for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])
        },
        "accuracy": results,
        "attention_minus": differences(results, "selective attention"),
    }
    (folder / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "table.md").write_text(table(results) + "\n")


if __name__ == "__main__":
    app.run(main)
