"""Every objective side by side: what it needs, costs, and learns in a fixed budget.

    python benchmarks/objectives.py --output=benchmarks/objectives.json

Three parts, each of which `--parts` can run alone, for the objectives of `--only`; what
is there already in the JSON of an earlier run is kept, and cells that are there are
not computed again. The table is written as Markdown beside the JSON.

- scopes: whether `TC2Pretrainer` makes a finite second-order step in each inner scope.
- cost: seconds of a training step of `SSLPretrainer`, relative to SimCLR's (NT-Xent).
  The steps of all objectives alternate, A B C A B C, so that a machine that slows down
  slows all; the figure is the median over rounds of the ratio within a round.
- knn: accuracy of the last epoch, mean and standard deviation over seeds, after the
  same number of steps on the same Fashion-MNIST images in the same order, with one
  learning rate: in-domain, and on MNIST, which was not trained on. Nothing is tuned for
  any objective, and the budget is short, so this ranks nothing; it shows that each
  learns.

DINO and SwAV are given two views like the others; their multi-crop costs more.
"""

import functools
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from measure import interleaved, summary

import keras_tc2 as tc2
from keras_tc2.callbacks.run_facts import machine

DATA = pathlib.Path(__file__).parent.parent / "examples" / "data"
DATASETS = ["fashion_mnist_subset", "mnist_subset"]
IMAGE_SIZE = 28

_OUTPUT = flags.DEFINE_string("output", "benchmarks/objectives.json", "JSON to write.")
_PARTS = flags.DEFINE_list("parts", "scopes,cost,knn", "What to measure.")
_ONLY = flags.DEFINE_list("only", [], "Names of objectives; all if empty.")
_SEEDS = flags.DEFINE_list("seeds", "0,1,2", "Seeds of the part knn.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Passes over the images.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 20_000, "Images to train on.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Peak of Adam's cosine.")
_ROUNDS = flags.DEFINE_integer("rounds", 30, "Timed steps of each objective.")

PAPERS = {
    "barlow_twins": "2103.03230",
    "byol": "2006.07733",
    "dcl": "2110.06848",
    "dino": "2104.14294",
    "moco_v3": "2104.02057",
    "nt_xent": "2002.05709",
    "sim_mim": "2111.09886",
    "simsiam": "2011.10566",
    "swav": "2006.09882",
    "vicreg": "2105.04906",
}
BASELINE = "nt_xent"


def _paper(name):
    """A link; an objective of your own has none."""
    if name not in PAPERS:
        return "–"
    return f"[{PAPERS[name]}](https://arxiv.org/abs/{PAPERS[name]})"


def new_model(name, seed=0, kind=tc2.SSLPretrainer, **arguments):
    """A pretrainer of a new small encoder, the same for a seed."""
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create("convnet", input_shape=(IMAGE_SIZE, IMAGE_SIZE, 1))
    projector = tc2.layers.ProjectionHead()
    return kind(encoder, objective=name, projector=projector, **arguments)


def needs_of(name):
    """What the objective states, in words."""
    objective = tc2.objectives.get(name)
    needs = objective.needs
    head = objective.make_head(64, (IMAGE_SIZE, IMAGE_SIZE, 1))
    words = [] if head is None else [head.name]
    if needs.target == "momentum":
        words.append("momentum target")
    elif needs.target == "stop_gradient":
        words.append("stopped gradient")
    if objective.make_target_normalization() is not None:
        words.append("centring")
    if needs.masks_views:
        words.append("masked views")
    if needs.min_views == 1:
        words.append("one view or two")
    else:
        words.append("two views" + ("" if needs.max_views else " or more"))
    return ", ".join(words)


def measure_scopes(name):
    """The inner scopes in which a second-order step is finite."""
    rng = np.random.default_rng(0)
    views = rng.random((2, 8, IMAGE_SIZE, IMAGE_SIZE, 1)).astype("float32")
    scopes = []
    for scope in ("projector", "encoder"):
        model = new_model(
            name,
            kind=tc2.TC2Pretrainer,
            num_tasks=2,
            inner_scope=scope,
            inner_clipnorm=1.0,
            **tc2.recipes.full_method(),
        )
        losses, gradients = model.value_and_gradients(*views)
        values = [*losses.values(), *gradients]
        if all(np.all(np.isfinite(value)) for value in values):
            scopes.append(scope)
    return scopes


def measure_costs(names):
    """Objective -> median seconds, and median ratio to the baseline, of a step."""
    names = [BASELINE, *(name for name in names if name != BASELINE)]
    rng = np.random.default_rng(0)
    shape = (2, _BATCH_SIZE.value, IMAGE_SIZE, IMAGE_SIZE, 1)
    batch = tuple(tf.constant(view) for view in rng.random(shape).astype("float32"))
    steps = {}
    for name in names:
        model = new_model(name)
        model.compile(keras.optimizers.Adam(1e-4))
        steps[name] = functools.partial(model.train_on_batch, *batch)
    rounds = _ROUNDS.value
    rows = summary(interleaved(steps, rounds), BASELINE)
    return {
        name: {"seconds": row["seconds"], "relative": row["ratio"], "rounds": rounds}
        for name, row in rows.items()
    }


def measure_knn(name, seed, data):
    """kNN accuracy of each dataset after the budget."""
    model = new_model(name, seed)
    images = data[DATASETS[0]]["train"][0][: _NUM_IMAGES.value]
    views = tc2.data.two_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.simclr(image_size=IMAGE_SIZE, channels=1),
        seed=seed,
    )
    steps = _EPOCHS.value * (len(images) // _BATCH_SIZE.value)
    schedule = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE.value, steps)
    model.compile(keras.optimizers.Adam(schedule))
    losses = model.fit(views, epochs=_EPOCHS.value, verbose=0).history["loss"]
    result = {"first_loss": losses[0], "last_loss": losses[-1]}
    for dataset, parts in data.items():
        features = [
            tc2.transfer.extract_features(model.encoder, parts[split][0])
            for split in ("train", "test")
        ]
        result[dataset] = tc2.transfer.knn_accuracy(
            features[0], parts["train"][1], features[1], parts["test"][1]
        )
    return result


def load_data():
    """Dataset -> split -> (images, labels), as arrays."""
    data = {}
    for name in DATASETS:
        data[name] = {}
        for split in ("train", "test"):
            source = tc2.data.load(name, split=split, labels=True, data_dir=DATA)
            data[name][split] = tc2.data.as_arrays(source)
    return data


def table(results):
    """The README's table, of whatever has been measured."""
    heads = ["objective", "paper", "needs", "TC² scopes", "cost of a step"]
    heads += [f"kNN {dataset.removesuffix('_subset')}" for dataset in DATASETS]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in tc2.objectives.names():
        cells = [f"`{name}`", _paper(name)]
        cells += [needs_of(name), ", ".join(results["scopes"].get(name, []))]
        cost = results["cost"].get(name)
        cells.append(f"{cost['relative']:.2f}×" if cost else "")
        runs = list(results["knn"].get(name, {}).values())
        for dataset in DATASETS:
            accuracies = [100 * run[dataset] for run in runs]
            spread = f" ± {np.std(accuracies, ddof=1):.1f}" if len(runs) > 1 else ""
            cells.append(f"{np.mean(accuracies):.1f}{spread}" if runs else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def settings():
    """What a result depends on; results of other settings are not mixed."""
    return {
        "epochs": _EPOCHS.value,
        "num_images": _NUM_IMAGES.value,
        "batch_size": _BATCH_SIZE.value,
        "learning_rate": _LEARNING_RATE.value,
        "encoder": "convnet",
        "versions": {
            "keras_tc2": tc2.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        "machine": machine(),
    }


def main(_):
    """Measures the parts asked for; writes after each cell."""
    output = pathlib.Path(_OUTPUT.value)
    results = {"settings": settings(), "scopes": {}, "cost": {}, "knn": {}}
    if output.exists():
        earlier = json.loads(output.read_text())
        if earlier["settings"] != results["settings"]:
            raise SystemExit(
                f"{output} holds results of other settings: {earlier['settings']}. "
                "Give another --output."
            )
        results = earlier
    names = _ONLY.value or tc2.objectives.names()

    def write():
        output.write_text(json.dumps(results, indent=1) + "\n")
        output.with_suffix(".md").write_text(table(results))

    if "scopes" in _PARTS.value:
        for name in names:
            results["scopes"][name] = measure_scopes(name)
            print(name, results["scopes"][name], flush=True)
            write()
    if "cost" in _PARTS.value:
        results["cost"].update(measure_costs(names))
        write()
    if "knn" in _PARTS.value:
        data = load_data()
        for seed in _SEEDS.value:
            for name in names:
                runs = results["knn"].setdefault(name, {})
                if seed not in runs:
                    runs[seed] = measure_knn(name, int(seed), data)
                    print(name, seed, runs[seed], flush=True)
                    write()
    print(table(results))


if __name__ == "__main__":
    app.run(main)
