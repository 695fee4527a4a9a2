"""Does domain-adversarial fine-tuning help where a domain has no labels?

    python examples/domain_adaptation.py --output_dir=runs/domains

Three domains of digits: MNIST, scanned digits of another collection, and MNIST digits
blended with Fashion-MNIST pictures (|digit − picture|, as MNIST-M does with photos).
Leaving out each in turn, a published encoder is fine-tuned on the labels of the other
two, once as they are and once with the images of the third without their labels
(`transfer.adapt_to_domains`). The third one's test images judge both. Between these
stands an arm in which those images are in the batch statistics alone, without an
adversary. A last one has their labels too, and is what could be reached at most.

The two MNIST domains share no image. Nothing is chosen on test images, nor on the
domain left out: settings are the defaults of `fine_tune`.
Without target images the epoch is kept that is best on held-out source images, as
`fine_tune` does; with them the last. Every run is kept in `runs/`: the same command
continues where it was stopped.
"""

import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags, logging
from compare_report import difference_cell
from few_labels import cell, load
from run_folder import check_settings, commit, flag_values, provenance, write

import keras_tc2 as tc2
from keras_tc2.reporting.markdown_table import markdown_table
from keras_tc2.transfer import adapt_to_domains, fine_tune

ROOT = pathlib.Path(__file__).parents[1]
ARMS = ("source only", "statistics alone", "adversarial", "with target labels")

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/domains", "Where results go.")
_ENCODER = flags.DEFINE_string(
    "encoder",
    str(ROOT / "hub" / "encoders" / "simclr-convnet-fashion"),
    "Folder or Hub repository of a saved encoder of grey images of 28 pixels.",
)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Of fine-tuning.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Of fine-tuning, at most.")
_TRAIN = flags.DEFINE_integer("train_images", 2500, "Most of a domain.")
_TEST = flags.DEFINE_integer("test_images", 1000, "Most of a domain.")


def domains():
    """`{domain: (train, test)}`, each `(images, labels)`."""
    found = {"mnist": {}, "digits": {}, "mnist on pictures": {}}
    numbers = {"train": _TRAIN.value, "test": _TEST.value}
    for split, number in numbers.items():
        images, labels = load("mnist_subset", split)
        pictures, _ = load("fashion_mnist_subset", split)
        half = min(number, len(images) // 2)
        found["mnist"][split] = images[:half], labels[:half]
        blended = images[-half:].astype(int) - pictures[:half]
        blended = np.abs(blended).astype("uint8")
        found["mnist on pictures"][split] = blended, labels[-half:]
        found["digits"][split] = tuple(
            part[:number] for part in load("digits_28px", split)
        )
    return {name: (parts["train"], parts["test"]) for name, parts in found.items()}


def accuracies(arm, encoder, sets, seed):
    """`{domain left out: accuracy}`."""
    options = {"epochs": _EPOCHS.value}
    if arm == "with target labels":
        trains = [train for train, _ in sets.values()]
        together = tuple(np.concatenate(parts) for parts in zip(*trains, strict=True))
        tests = [test for _, test in sets.values()]
        judged = tuple(np.concatenate(parts) for parts in zip(*tests, strict=True))
        tuned = fine_tune(encoder, together, judged, seed=seed, **options)
        correct = tuned["predictions"] == judged[1]
        ends = np.cumsum([len(labels) for _, labels in tests])[:-1]
        parts = np.split(correct, ends)
        return {
            name: float(part.mean()) for name, part in zip(sets, parts, strict=True)
        }
    if arm == "statistics alone":
        options["adversarial_weight"] = 0.0
    results = adapt_to_domains(
        encoder, sets, adversarial=arm != "source only", fine_tuning=options, seed=seed
    )
    return {name: result["accuracy"] for name, result in results.items()}


def report(folder):
    """Writes what all runs of a folder say; returns the table."""
    paths = sorted((folder / "runs").glob("*.json"))
    runs = [json.loads(path.read_text()) for path in paths]
    record = {**provenance(), "runs": runs}
    write(folder / "results.json", json.dumps(record, indent=1) + "\n")
    found = {arm: {} for arm in ARMS}
    for run in runs:
        rows = {**run["accuracy"], "mean": np.mean(list(run["accuracy"].values()))}
        for domain, value in rows.items():
            arm = found[run["arm"]].setdefault(domain, {})
            arm[run["seed"]] = 100 * float(value)
    plain, statistics, adversarial, _ = found.values()
    lines = [
        [
            domain,
            *(cell(arm.get(domain, {})) for arm in found.values()),
            difference_cell(adversarial.get(domain, {}), plain.get(domain, {})),
            difference_cell(adversarial.get(domain, {}), statistics.get(domain, {})),
        ]
        for domain in plain
    ]
    head = ["domain without labels", *ARMS]
    head += ["adversarial − source only", "adversarial − statistics alone"]
    text = markdown_table(head, lines, num_text_columns=1)
    write(folder / "table.md", text + "\n")
    return text


def main(_):
    """Makes what is missing, seed after seed, and the table."""
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    varied = ("output_dir", "seeds")
    check_settings(folder, {k: v for k, v in flag_values().items() if k not in varied})
    encoder = tc2.from_pretrained(_ENCODER.value)
    sets = domains()
    for seed in map(int, _SEEDS.value):
        for arm in ARMS:
            path = folder / "runs" / f"{arm.replace(' ', '_')}-{seed}.json"
            if path.exists():
                continue
            record = {"arm": arm, "seed": seed}
            record["accuracy"] = accuracies(arm, encoder, sets, seed)
            record["commit"] = commit()
            write(path, json.dumps(record, indent=1))
            print(arm, seed, record["accuracy"], flush=True)
        print(f"\n{report(folder)}", flush=True)


if __name__ == "__main__":
    app.run(main)
