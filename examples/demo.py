"""Plain SSL and TC² side by side, pre-trained and evaluated in one command.

    python examples/demo.py --output_dir=runs/demo

Pre-trains three encoders on Fashion-MNIST images without labels: base SSL (SimCLR),
base SSL given the same task augmentations as TC², and TC². All start from the same
weights, see the same images in the same order for the same number of steps, with one
learning rate and schedule. Then all, and the untrained encoder, are evaluated in-domain
and on MNIST and handwritten digits, which none has seen. Writes `table.md`,
`report.json`, `comparison.png` and the TC² encoder, and loads the encoder back.

Takes about five minutes on two CPU cores. The README shows its result ("The demo").
One seed proves nothing about small differences; `benchmarks/` holds the paired runs.
"""

import json
import pathlib
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from absl import app, flags, logging
from sklearn.decomposition import PCA

import keras_tc2 as tc2
from keras_tc2.callbacks.task_conflict_monitor import draw_means

DATA = pathlib.Path(__file__).parent / "data"
IMAGE_SIZE = 28

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/demo", "Where results go.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Passes over the images, per encoder.")
_STEPS = flags.DEFINE_integer("steps_per_epoch", None, "Steps; default: all images.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_NUM_TASKS = flags.DEFINE_integer("num_tasks", 4, "Tasks a batch is split into.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-2, "Peak of the cosine.")
_DATASETS = flags.DEFINE_list(
    "datasets",
    ["fashion_mnist_subset", "mnist_subset", "digits_28px"],
    "What the encoders are evaluated on.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, order and views.")

COLOURS = {
    "untrained": "#999999",
    "base SSL": "#0072B2",
    "base SSL, task views": "#E69F00",
    "TC²": "#009E73",
}


def new_encoder():
    """The same encoder with the same weights every time."""
    keras.utils.set_random_seed(_SEED.value)
    return tc2.encoders.create("convnet", input_shape=(IMAGE_SIZE, IMAGE_SIZE, 1))


def new_pretrainer(method):
    """A pretrainer of a new encoder, and the views that it is trained on."""
    encoder = new_encoder()
    projector = tc2.layers.ProjectionHead()
    projector.build((None, encoder.feature_dim))
    objective = tc2.objectives.NTXent(temperature=0.2)
    recipes = tc2.augment.simclr_tasks(
        image_size=IMAGE_SIZE, num_tasks=_NUM_TASKS.value, channels=1
    )
    if method == "base SSL":
        # The first task's recipe is the full one: crop, flip, brightness, contrast.
        recipes = recipes[0]
    if method == "TC²":
        model = tc2.TC2Pretrainer(
            encoder,
            objective=objective,
            projector=projector,
            num_tasks=_NUM_TASKS.value,
        )
    else:
        model = tc2.SSLPretrainer(encoder, objective=objective, projector=projector)
    return model, recipes


def pretrain(method, images):
    """Trains one encoder; returns it with its losses, step time and pretrainer."""
    model, recipes = new_pretrainer(method)
    views = tc2.data.two_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=recipes,
        seed=_SEED.value,
    )
    steps = _STEPS.value or len(images) // _BATCH_SIZE.value
    schedule = keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE.value, decay_steps=_EPOCHS.value * steps
    )
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    timer = tc2.callbacks.StepTimer()
    print(f"\n{method}: {_EPOCHS.value} epochs of {steps} steps", flush=True)
    history = model.fit(
        views.repeat(),
        epochs=_EPOCHS.value,
        steps_per_epoch=steps,
        callbacks=[timer],
        verbose=2,
    ).history
    # The loss that all methods share.
    losses = history.get("base_loss", history["loss"])
    return model, losses, float(np.median(timer.seconds))


def task_conflict(model, images):
    """Whether the model's tasks conflict, from sixteen batches."""
    recipes = tc2.augment.simclr_tasks(
        image_size=IMAGE_SIZE, num_tasks=_NUM_TASKS.value, channels=1
    )
    views = tc2.data.two_views(
        images, batch_size=_BATCH_SIZE.value, augmentation=recipes, seed=_SEED.value + 1
    )
    return model.conflict(views.repeat().take(16))


def draw(losses, report, features, labels, conflict, path):
    """Four panels: losses, transfer, the two feature spaces, task conflict."""
    figure = plt.figure(figsize=(13, 9), layout="constrained")
    axes = figure.subplot_mosaic(
        [["loss", "bars", "bars"], ["base", "tc2", "conflict"]]
    )
    for method, values in losses.items():
        axes["loss"].plot(
            range(1, len(values) + 1),
            values,
            "o-",
            color=COLOURS[method],
            ms=3,
            label=method,
        )
    axes["loss"].set(
        title="NT-Xent, each on its own views",
        xlabel="epoch",
        ylabel="loss (nats)",
    )
    axes["loss"].legend()
    bars = [(row["dataset"], row["protocol"]) for row in report.rows]
    bars = list(dict.fromkeys(bars))
    for i, method in enumerate(COLOURS):
        heights = [100 * report.accuracy(*bar, encoder=method) for bar in bars]
        positions = np.arange(len(bars)) + 0.2 * (i - 1.5)
        drawn = axes["bars"].bar(positions, heights, 0.2, color=COLOURS[method])
        drawn.set_label(method)
    names = [f"{d.removesuffix('_subset')}\n{p}" for d, p in bars]
    axes["bars"].set_xticks(range(len(bars)), names)
    lowest = min(row["value"] for row in report.rows)
    axes["bars"].set(
        title="Accuracy of frozen features (in-domain: fashion_mnist)",
        ylabel="accuracy (%)",
        ylim=(max(0, 100 * lowest - 10), 106),
    )
    axes["bars"].legend(ncols=4, loc="upper left")
    for panel, method in (("base", "base SSL"), ("tc2", "TC²")):
        projected = PCA(2, random_state=0).fit_transform(features[method])
        points = axes[panel].scatter(
            *projected.T, c=labels, cmap="tab10", vmin=-0.5, vmax=9.5, s=5
        )
        axes[panel].set(
            title=f"{method}: features of unseen MNIST",
            xlabel="principal component 1",
            ylabel="principal component 2",
        )
    figure.colorbar(points, ax=axes["tc2"], label="digit", ticks=range(10))
    draw_means(axes["conflict"], conflict)
    axes["conflict"].set_title("TC²: do the tasks conflict?")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def table(report, seconds):
    """One row an encoder, one column a dataset and protocol; Markdown."""
    columns = list(dict.fromkeys((r["dataset"], r["protocol"]) for r in report.rows))
    heads = [f"{d.removesuffix('_subset')} {p}" for d, p in columns]
    lines = [
        f"| encoder | {' | '.join(heads)} | transfer mean | s / step |",
        "|---|" + "---|" * (len(columns) + 2),
    ]
    for method in report.encoders:
        scores = [100 * report.accuracy(*column, encoder=method) for column in columns]
        transfer = [
            score
            for score, (dataset, _) in zip(scores, columns, strict=True)
            if not dataset.startswith("fashion")
        ]
        cells = [f"{score:.2f}" for score in (*scores, np.mean(transfer))]
        time_cell = f"{seconds[method]:.3f}" if method in seconds else "–"
        lines.append(f"| {method} | {' | '.join(cells)} | {time_cell} |")
    return "\n".join(lines)


def main(_):
    """Trains, evaluates, draws, saves and loads back."""
    logging.set_verbosity(logging.WARNING)
    start = time.perf_counter()
    output_dir = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    output_dir.mkdir(parents=True, exist_ok=True)
    images = tc2.data.load("fashion_mnist_subset", split="train", data_dir=DATA)
    models, losses, seconds = {"untrained": None}, {}, {}
    encoders = {"untrained": new_encoder()}
    for method in list(COLOURS)[1:]:
        models[method], losses[method], seconds[method] = pretrain(method, images)
        encoders[method] = models[method].encoder

    report = tc2.transfer.TransferReport.join(
        tc2.transfer.evaluate(
            encoder, _DATASETS.value, data_dir=DATA, encoder_name=method
        )
        for method, encoder in encoders.items()
    )
    text = table(report, seconds)
    unseen = tc2.data.load("mnist_subset", split="test", labels=True, data_dir=DATA)
    _, labels = tc2.data.as_arrays(unseen)
    features = {
        method: tc2.transfer.extract_features(encoders[method], unseen)
        for method in ("base SSL", "TC²")
    }
    conflict = task_conflict(models["TC²"], images)
    print(f"TC²: {conflict}")
    draw(losses, report, features, labels, conflict, output_dir / "comparison.png")
    report.to_json(output_dir / "report.json")
    (output_dir / "table.md").write_text(text + "\n")
    (output_dir / "losses.json").write_text(json.dumps(losses, indent=1))

    encoders["TC²"].save_pretrained(output_dir / "tc2_encoder")
    reloaded = tc2.from_pretrained(output_dir / "tc2_encoder")
    again = tc2.transfer.extract_features(reloaded, unseen)
    same = np.array_equal(again, features["TC²"])
    print(f"\nAccuracy of frozen features in %, seed {_SEED.value}:\n\n{text}\n")
    print(f"Encoder saved and loaded back; features identical: {same}")
    print(f"Everything is in {output_dir}. {time.perf_counter() - start:.0f} s in all.")


if __name__ == "__main__":
    app.run(main)
