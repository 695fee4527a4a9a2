"""Encoders fine-tuned on several tasks from few labels, merged into one.

    python examples/merge.py --output_dir=runs/merge

Pre-trains one small encoder on Fashion-MNIST images without labels, fine-tunes a copy
on each of several datasets from few labelled images a class, and merges the copies.
Each encoder is then measured on all the datasets, by a linear probe on those same
labelled images: the pre-trained one, each copy alone, a copy fine-tuned on all datasets
together, and the copies merged by averaging, Fisher, task arithmetic and aTLAS. Writes
`results.json` and `table.md`.

Batch statistics of merged encoders are re-estimated on the labelled images. λ of task
arithmetic alone is chosen on further labelled images, a fifth of the training images.
The pre-trained encoder is kept in `encoder/`, and every draw of labels in `runs/`: the
same command continues where it was stopped. Choose settings with
`--evaluate_on=validation` on draws that the final table does not use.
"""

import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags, logging
from few_labels import differences, few, load, pretrained, table
from run_folder import check_settings, commit, flag_values, provenance, write
from validation import last_fifth

from keras_tc2.transfer import extract_features, fine_tune, linear_probe, merge

SHAPE = (28, 28, 1)
SCALINGS = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
MERGED = ("average", "Fisher", "task arithmetic", "aTLAS")

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/merge", "Where results go.")
_DATASETS = flags.DEFINE_list(
    "datasets", ["fashion_mnist_subset", "mnist_subset", "digits_28px"], "The tasks."
)
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of pre-training.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step of these.")
_SHOTS = flags.DEFINE_list("shots", ["10", "50"], "Labelled images a class.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Draws of the labels.")
_EVALUATE_ON = flags.DEFINE_enum(
    "evaluate_on", "test", ["test", "validation"], "Validation is a fifth of train."
)
_TEST = flags.DEFINE_integer("test_images", 2000, "At most so many are measured on.")
_TUNING = flags.DEFINE_integer("fine_tuning_epochs", 20, "At most.")
_ATLAS_STEPS = flags.DEFINE_integer("atlas_steps", 200, "Updates of coefficients.")
_ATLAS_RATE = flags.DEFINE_float("atlas_learning_rate", 0.01, "Of the same.")
_FISHER = flags.DEFINE_integer("fisher_images", 100, "At most, of each task.")


def splits(name):
    """Images to draw labels from, to choose λ on, and to measure on, with labels."""
    train, test = load(name, "train"), load(name, "test")
    if _EVALUATE_ON.value == "validation":
        train, test = last_fifth(*train)
    return *last_fifth(*train), tuple(part[: _TEST.value] for part in test)


def accuracies(encoder, labelled, measured, seed):
    """Linear-probe accuracy on each dataset, when fitted to few labelled images."""
    return {
        name: linear_probe(
            extract_features(encoder, images),
            labels,
            extract_features(encoder, measured[name][0]),
            measured[name][1],
            seed=seed,
        )["accuracy"]
        for name, (images, labels) in labelled.items()
    }


def together(labelled):
    """All datasets as one, in which classes of two datasets are never the same."""
    images = np.concatenate([images for images, _ in labelled.values()])
    labels = [100 * task + y for task, (_, y) in enumerate(labelled.values())]
    return images, np.concatenate(labels)


def encoders_of(base, labelled, choosing, seed):
    """Every encoder that is compared, by the name of its row, and the λ chosen."""

    def tuned_on(pairs):
        options = {"epochs": _TUNING.value, "seed": seed}
        return fine_tune(base, pairs, pairs, **options)["model"].encoder

    tuned = {name: tuned_on(pairs) for name, pairs in labelled.items()}
    copies = list(tuned.values())
    everything = together(labelled)
    images = everything[0]
    rng = np.random.default_rng(seed)
    some = {
        name: rng.permutation(len(y))[: _FISHER.value]
        for name, (_, y) in labelled.items()
    }
    examples = [(x[some[name]], y[some[name]]) for name, (x, y) in labelled.items()]

    def added(scaling):
        return merge.task_arithmetic(base, copies, scaling=scaling, images=images)

    chosen = max(
        SCALINGS,
        key=lambda scaling: mean(accuracies(added(scaling), labelled, choosing, seed)),
    )
    atlas = merge.atlas(
        base,
        copies,
        everything,
        steps=_ATLAS_STEPS.value,
        learning_rate=_ATLAS_RATE.value,
        seed=seed,
    )
    return {
        "pre-trained": base,
        **{f"fine-tuned on {name}": encoder for name, encoder in tuned.items()},
        "joint training": tuned_on(everything),
        "average, statistics too": merge.average(copies),
        "average": merge.average(copies, images=images),
        "Fisher": merge.fisher_average(copies, examples, images=images),
        "task arithmetic": added(chosen),
        "aTLAS": atlas["encoder"],
    }, chosen


def mean(rows):
    """Mean accuracy over datasets."""
    return float(np.mean(list(rows.values())))


def report(folder):
    """Writes what all runs of a folder say; returns the table."""
    runs = [json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")]
    runs.sort(key=lambda record: (record["labels_per_class"], record["seed"]))
    found = {}
    for record in runs:
        for row, values in record["accuracy"].items():
            for dataset, value in {"mean": mean(values), **values}.items():
                column = f"{dataset}, {record['labels_per_class']}"
                rows = found.setdefault(column, {})
                rows.setdefault(row, {})[record["seed"]] = 100 * value
    means = {column: rows for column, rows in found.items() if column[:5] == "mean,"}
    record = {
        **provenance(),
        "runs": runs,
        "minus": {name: differences(means, name) for name in MERGED},
    }
    write(folder / "results.json", json.dumps(record, indent=1) + "\n")
    text = table("accuracy in %, labels a class", found)
    write(folder / "table.md", text + "\n")
    return text


def main(_):
    """Makes what is missing, draw after draw, and the table."""
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    varied = ("output_dir", "seeds", "shots")
    check_settings(folder, {k: v for k, v in flag_values().items() if k not in varied})
    base = pretrained(
        folder / "encoder",
        load("fashion_mnist_subset", "train")[0],
        objective="nt_xent",
        steps=_STEPS.value,
        batch_size=_BATCH_SIZE.value,
    )
    parts = {name: splits(name) for name in _DATASETS.value}
    choosing = {name: part[1] for name, part in parts.items()}
    test = {name: part[2] for name, part in parts.items()}
    for seed in map(int, _SEEDS.value):
        for number in map(int, _SHOTS.value):
            path = folder / "runs" / f"{number}-{seed}.json"
            if path.exists():
                continue
            labelled = {}
            for name, ((images, labels), _, _) in parts.items():
                chosen = few(labels, number, seed)
                labelled[name] = images[chosen], labels[chosen]
            encoders, scaling = encoders_of(base, labelled, choosing, seed)
            rows = {
                name: accuracies(encoder, labelled, test, seed)
                for name, encoder in encoders.items()
            }
            record = {"labels_per_class": number, "seed": seed, "accuracy": rows}
            record |= {"scaling": scaling, "commit": commit()}
            write(path, json.dumps(record, indent=1))
            means = {name: round(100 * mean(row), 1) for name, row in rows.items()}
            print(number, "a class, seed", seed, means, flush=True)
    print(f"\n{report(folder)}")


if __name__ == "__main__":
    app.run(main)
