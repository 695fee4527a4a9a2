"""Draws of few labelled images, the encoders they are for, and tables over draws."""

import os
import pathlib

import keras
import numpy as np

import keras_tc2 as tc2
from keras_tc2.reporting.markdown_table import markdown_table

DATA = pathlib.Path(__file__).parent / "data"


def load(name, split, data_dir=DATA):
    """All images and labels of a dataset, as arrays.

    Those that come class by class, as a folder's do, in a random order, so that parts
    of them hold every class; others as they come.
    """
    pairs = tc2.data.load(name, split=split, labels=True, data_dir=data_dir)
    images, labels = tc2.data.as_arrays(pairs)
    if np.count_nonzero(np.diff(labels)) < len(np.unique(labels)):
        order = np.random.RandomState(0).permutation(len(labels))
        images, labels = images[order], labels[order]
    return images, labels


def pretrained(path, images, *, objective, steps, batch_size, seed=0):
    """A small encoder pre-trained without labels, made once and kept in a folder."""
    if path.exists():
        return tc2.from_pretrained(path)
    print(f"\npre-training: {objective}", flush=True)
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create("convnet", input_shape=images.shape[1:])
    model = tc2.SSLPretrainer(encoder, objective=objective)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(schedule))
    views = tc2.data.two_views(
        images,
        batch_size=batch_size,
        augmentation=tc2.augment.simclr(image_size=images.shape[1], channels=1),
        seed=seed,
    )
    model.fit(views.repeat(), epochs=1, steps_per_epoch=steps, verbose=2)
    partial = path.with_name(f"{path.name}.partial")
    encoder.save_pretrained(partial)
    os.replace(partial, path)
    return encoder


def few(labels, number, seed):
    """Positions of `number` images of each class."""
    rng = np.random.default_rng([seed, number])
    classes = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    return np.concatenate([rng.permutation(c)[:number] for c in classes])


def accuracies(runs):
    """`{labels a class: {method: {seed: accuracy}}}`."""
    found = {}
    for record in sorted(runs, key=lambda r: (r["labels_per_class"], r["seed"])):
        methods = found.setdefault(str(record["labels_per_class"]), {})
        for name, accuracy in record["accuracy"].items():
            methods.setdefault(name, {})[record["seed"]] = 100 * accuracy
    return found


def table(corner, found):
    """One row a method: mean and standard deviation over draws.

    Args:
        corner: str, what the columns are.
        found: `{column: {method: {seed: percent}}}`.
    """
    rows = list(dict.fromkeys(name for methods in found.values() for name in methods))
    lines = [
        [name, *(cell(methods.get(name, {})) for methods in found.values())]
        for name in rows
    ]
    return markdown_table([corner, *found], lines, num_text_columns=1)


def cell(values):
    """Mean and standard deviation of `{seed: percent}`, as text."""
    values = list(values.values())
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}" if values else "–"


def differences(found, name):
    """A method minus each other one, paired by draw: mean, sd, draws, draws above."""
    gaps = {}
    for number, methods in found.items():
        for other, values in methods.items():
            pairs = [methods[name][seed] - value for seed, value in values.items()]
            spread = round(float(np.std(pairs, ddof=1)), 2) if len(pairs) > 1 else None
            gaps.setdefault(other, {})[number] = {
                "mean": round(float(np.mean(pairs)), 2),
                "sd": spread,
                "draws": len(pairs),
                "above": int(np.sum(np.array(pairs) > 0)),
            }
    del gaps[name]
    return gaps
