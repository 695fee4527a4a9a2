"""Does it help to pre-train on the images that the target uses most?

    python examples/prune.py --output_dir=runs/prune

Pre-trains a small encoder on all Fashion-MNIST images without labels, and again on the
shares of them that `data.prune` keeps for a target, by that encoder's features, and on
as many drawn at random; all for the same number of steps, from the same weights. Each
is measured on the target by kNN and a linear probe. Pruning sees the target's training
images without labels, and never its test images. Writes `results.json`, `table.md`,
and for each target a picture of the clusters that it uses most and least.

Every encoder is kept in `encoders/` and every measurement in `runs/`: the same command
continues where it was stopped, and seeds can be added later. Two encoders a minute on
one core.
"""

import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags, logging
from compare_report import difference_cell
from few_labels import DATA, load, pretrained
from run_folder import check_settings, commit, flag_values, named, provenance, write

import keras_tc2 as tc2
from keras_tc2.reporting.markdown_table import markdown_table

PROTOCOLS = ("knn", "linear")

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/prune", "Where results go.")
_SOURCE = flags.DEFINE_string(
    "source",
    "fashion_mnist_subset",
    "Pre-trained on; what `keras_tc2.data.load` takes.",
)
_TARGETS = flags.DEFINE_list("targets", ["mnist_subset", "digits_28px"], "The same.")
_DATA_DIR = flags.DEFINE_string("data_dir", str(DATA), "Where TFDS datasets are.")
_SHARES = flags.DEFINE_list("shares", ["80", "60", "40", "20"], "Kept, in percent.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Of weights and draws.")
_OBJECTIVE = flags.DEFINE_string("objective", "nt_xent", "Of pre-training.")
_STEPS = flags.DEFINE_integer("steps", 200, "Steps of pre-training.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_LABELLED = flags.DEFINE_integer("labelled_images", 5000, "Most that probes see.")


class Runs:
    """Encoders of one folder, each pre-trained and measured once."""

    def __init__(self, folder):
        self.folder = folder
        names = named(
            _TARGETS.value, lambda source: pathlib.Path(source).stem, ("all", "random")
        )
        data_dir = _DATA_DIR.value
        self.images, self.classes = load(_SOURCE.value, "train", data_dir)
        self.targets = {}
        for name, source in names.items():
            train = load(source, "train", data_dir)
            train = tuple(part[: _LABELLED.value] for part in train)
            self.targets[name] = train, load(source, "test", data_dir)

    def encoder(self, name, kept, seed):
        """The encoder pre-trained on some of the source images."""
        return pretrained(
            self.folder / "encoders" / name,
            self.images[kept],
            objective=_OBJECTIVE.value,
            steps=_STEPS.value,
            batch_size=_BATCH_SIZE.value,
            seed=seed,
        )

    def path(self, arm, share, seed):
        """Where a measurement is kept."""
        return self.folder / "runs" / f"{arm}-{share}-{seed}.json"

    def measure(self, arm, share, seed, kept):
        """Pre-trains and measures, unless both are done."""
        path = self.path(arm, share, seed)
        if path.exists():
            return
        name = path.stem
        report = tc2.transfer.evaluate(
            self.encoder(name, kept, seed), self.targets, protocols=PROTOCOLS, seed=seed
        )
        accuracy = {}
        for row in report.rows:
            accuracy.setdefault(row["dataset"], {})[row["protocol"]] = row["value"]
        record = {"arm": arm, "share": share, "seed": seed, "accuracy": accuracy}
        record["kept_of_each_class"] = np.bincount(self.classes[kept]).tolist()
        record["commit"] = commit()
        write(path, json.dumps(record, indent=1))
        print(name, accuracy, flush=True)

    def make(self, seed):
        """Every encoder of one seed."""
        everything = np.arange(len(self.images))
        self.measure("all", 100, seed, everything)
        surrogate = self.encoder(f"all-100-{seed}", everything, seed)
        features = tc2.transfer.extract_features(surrogate, self.images)
        shuffled = np.random.default_rng(seed).permutation(everything)
        for share in map(int, _SHARES.value):
            drawn = np.sort(shuffled[: round(share / 100 * len(everything))])
            self.measure("random", share, seed, drawn)
            for target, ((images, _), _) in self.targets.items():
                if self.path(target, share, seed).exists():
                    continue
                pruning = tc2.data.prune(
                    features,
                    tc2.transfer.extract_features(surrogate, images),
                    keep=share / 100,
                    seed=seed,
                )
                self.measure(target, share, seed, pruning.kept)
                picture = self.folder / f"{target}-{share}.png"
                if not picture.exists():
                    pruning.plot(self.images).savefig(picture, dpi=110)

    def report(self):
        """Writes what all runs of the folder say; returns the table."""
        paths = sorted((self.folder / "runs").glob("*.json"))
        runs = [json.loads(path.read_text()) for path in paths]
        record = {**provenance(), "runs": runs}
        write(self.folder / "results.json", json.dumps(record, indent=1) + "\n")
        shares = sorted({run["share"] for run in runs} - {100}, reverse=True)
        lines = []
        for target in self.targets:
            everything = scores(runs, "all", 100, target)
            lines.append([target, "100", mean(everything), *"––––"])
            for share in shares:
                pruned = scores(runs, target, share, target)
                drawn = scores(runs, "random", share, target)
                cells = [mean(drawn), mean(pruned), difference_cell(pruned, drawn)]
                cells += [difference_cell(part, everything) for part in (pruned, drawn)]
                lines.append([target, str(share), *cells])
        head = ["target", "kept, %", "at random", "pruned", "pruned − random"]
        head += ["pruned − all", "random − all"]
        text = markdown_table(head, lines, num_text_columns=1)
        write(self.folder / "table.md", text + "\n")
        return text


def scores(runs, arm, share, target):
    """`{seed: percent}`, the mean over protocols."""
    return {
        run["seed"]: 100 * float(np.mean(list(run["accuracy"][target].values())))
        for run in runs
        if (run["arm"], run["share"]) == (arm, share)
    }


def mean(values):
    """Of a dict, as text."""
    return f"{np.mean(list(values.values())):.2f}" if values else "–"


def main(_):
    """Makes what is missing, seed after seed, and the table."""
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    for name in ("encoders", "runs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    varied = ("output_dir", "seeds", "shares")
    check_settings(folder, {k: v for k, v in flag_values().items() if k not in varied})
    runs = Runs(folder)
    for seed in map(int, _SEEDS.value):
        runs.make(seed)
        print(f"\n{runs.report()}", flush=True)


if __name__ == "__main__":
    app.run(main)
