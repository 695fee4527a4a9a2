"""What each callback adds to an epoch.

    python benchmarks/callbacks.py --output=benchmarks/callbacks.json

The same TC² pretrainer trains an epoch without callbacks and one with each of them, in
turn, round after round; the figure is the median over rounds of the difference to the
epoch without in the same round, in seconds and as a share. Every callback works at
every epoch here; by default some do so every tenth.
"""

import json
import pathlib
import tempfile
import time

import keras
import numpy as np
from absl import app, flags
from measure import machine

import keras_tc2 as tc2

DATA = pathlib.Path(__file__).parent.parent / "examples" / "data"

_OUTPUT = flags.DEFINE_string("output", "benchmarks/callbacks.json", "JSON to write.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Epochs with each callback.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 20_000, "Images an epoch.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_PROBE_IMAGES = flags.DEFINE_integer("probe_images", 2000, "Images of the probes.")


def new_callbacks(views, images, labels, folder):
    """A function that makes each callback anew, by its name."""
    half = len(images) // 2
    probe = images[:half], labels[:half], images[half:], labels[half:]
    return {
        "OnlineProbe, kNN": lambda: tc2.callbacks.OnlineProbe(*probe),
        "OnlineProbe, kNN and linear": lambda: tc2.callbacks.OnlineProbe(
            *probe, protocols=("knn", "linear")
        ),
        "CollapseGuard": lambda: tc2.callbacks.CollapseGuard(views),
        "TaskConflictMonitor": lambda: tc2.callbacks.TaskConflictMonitor(views),
        "EmbeddingPlot": lambda: tc2.callbacks.EmbeddingPlot(
            images, labels, folder=folder / "plots", every_epochs=1
        ),
        "TrainingReport": lambda: tc2.callbacks.TrainingReport(
            folder / "report.html", every_epochs=1
        ),
        "ResumableCheckpoint": lambda: tc2.callbacks.ResumableCheckpoint(
            tempfile.mkdtemp(dir=folder)
        ),
    }


def main(_):
    """Measures, prints and writes."""
    load = {"labels": True, "data_dir": DATA}
    data = tc2.data.load("fashion_mnist_subset", split="train", **load)
    images, labels = tc2.data.as_arrays(data)
    recipes = tc2.augment.simclr_tasks(image_size=28, channels=1)
    views = tc2.data.two_views(
        images[: _NUM_IMAGES.value],
        batch_size=_BATCH_SIZE.value,
        augmentation=recipes,
        seed=0,
    )
    model = tc2.TC2Pretrainer(
        tc2.encoders.create("convnet", input_shape=(28, 28, 1)),
        objective="nt_xent",
        **tc2.recipes.full_method(),
    )
    model.compile(keras.optimizers.Adam(1e-3))
    fixed_views = views.take(1).cache()
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        makers = new_callbacks(
            fixed_views,
            images[: _PROBE_IMAGES.value],
            labels[: _PROBE_IMAGES.value],
            pathlib.Path(folder),
        )
        makers = {"none": None, **makers}
        for i in range(_ROUNDS.value + 1):
            for name, maker in makers.items():
                callbacks = [maker()] if maker else []
                start = time.perf_counter()
                model.fit(views, epochs=1, callbacks=callbacks, verbose=0)
                if i:  # The first round traces.
                    seconds.setdefault(name, []).append(time.perf_counter() - start)
    base = np.array(seconds.pop("none"))
    results = {"machine": machine(), "epoch_seconds": float(np.median(base))}
    print(f"An epoch of {len(views)} steps: {results['epoch_seconds']:.1f} s")
    for name, values in seconds.items():
        added = np.array(values) - base
        results[name] = {
            "seconds_added": float(np.median(added)),
            "seconds_added_quartiles": np.percentile(added, [25, 75]).tolist(),
            "share": float(np.median(added / base)),
        }
        share = 100 * results[name]["share"]
        print(f"  {name}: {np.median(added):+.2f} s, {share:+.0f} %")
    pathlib.Path(_OUTPUT.value).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
