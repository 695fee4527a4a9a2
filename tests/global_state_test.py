"""What takes a `seed` hangs on it alone, and leaves every global generator alone."""

import importlib
import inspect
import pkgutil
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_tc2 as tc2
from keras_tc2 import augment, data, encoders, layers, transfer
from tests import tiny
from tests.test_case import TestCase
from tests.transfer.merge import networks

LABELS = np.arange(24) % 2
IMAGES = np.random.default_rng(0).integers(0, 200, (24, 6, 6, 1)).astype("uint8")
IMAGES[LABELS == 1, :3] += 50
PAIRS = IMAGES, LABELS
FEATURES = IMAGES.reshape(24, -1)[:, :8].astype("float32")
FOUR = FEATURES, LABELS, FEATURES[::-1] + 1, LABELS[::-1]
MEMBER = FEATURES, FEATURES[::-1] + 1, np.arange(24) % 5
MASKS = (IMAGES[..., 0] > 100).astype(int)
OPTIONS = {"epochs": 2, "batch_size": 8}


def encoder():
    """An encoder whose layers have no seeds, with dropout, at fixed weights."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, name="map"),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    rng = np.random.default_rng(1)
    model.set_weights([0.01 * rng.normal(size=w.shape) for w in model.weights])
    return model


def pretrainer():
    """A pretrainer at fixed weights."""
    model = tc2.TC2Pretrainer(
        tiny.encoder(),
        objective="nt_xent",
        projector=tc2.layers.ProjectionHead(4),
        num_tasks=2,
    )
    rng = np.random.default_rng(0)
    model.set_weights([0.1 * rng.normal(size=w.shape) for w in model.weights])
    return model


def streams(_):
    """Datasets that can only be read from their beginning, shuffled in a buffer."""
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES)
    views = data.two_views(
        [dataset, dataset],
        batch_size=8,
        augmentation=augment.RandomResizedCrop(4, seed=0),
        seed=3,
    )
    return [*views, *views]


def several_views(_):
    """The same, of three views."""
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES)
    views = data.multi_views(
        [dataset, dataset],
        batch_size=8,
        augmentation=augment.Views([augment.RandomResizedCrop(4, seed=0)] * 3, seed=0),
        seed=3,
    )
    return [part for batch in [*views, *views] for part in batch]


def batches(_):
    """The same, of images and the seeds of their views."""
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES)
    made = data.batches([dataset, dataset], batch_size=8, seed=3)
    return [part for batch in [*made, *made] for part in batch]


def fine_tune(encoder):
    tuned = transfer.fine_tune(encoder, PAIRS, PAIRS, seed=3, **OPTIONS)
    return [tuned["history"]["loss"], *tuned["model"].get_weights()]


def compare_encoders(encoder):
    rows = transfer.compare_encoders(
        {"one": encoder, "other": encoder},
        PAIRS,
        PAIRS,
        epochs=3,
        fine_tuning=False,
        dim=4,
        seed=3,
    )
    return list(rows.values())


def adapt_to_domains(encoder):
    domains = {"a": (PAIRS, PAIRS), "b": ((255 - IMAGES, LABELS), PAIRS)}
    found = transfer.adapt_to_domains(encoder, domains, fine_tuning=OPTIONS, seed=3)
    history = found["b"]["history"]
    return [history["loss"], history["domain_accuracy"]]


def atlas(_):
    base = networks.encoder()
    merged = transfer.merge.atlas(
        base,
        [networks.tuned(base, 1)],
        (networks.images(), np.arange(12) % 3),
        steps=4,
        batch_size=4,
        seed=3,
    )
    return [merged["coefficients"], merged["loss"], *merged["encoder"].get_weights()]


def semi_supervised(encoder):
    found = transfer.semi_supervised(
        encoder, PAIRS, PAIRS, shares=(0.5,), fine_tuning=OPTIONS, seed=3
    )
    return found[0.5]["history"]["loss"]


def evaluate(encoder):
    report = transfer.evaluate(
        encoder,
        {"pairs": (PAIRS, PAIRS)},
        protocols=["linear", "few_shot", "clustering"],
        seed=3,
    )
    return [row["value"] for row in report.rows]


def show_views(_):
    figure = augment.show_views(IMAGES, augment.RandomResizedCrop(4, seed=0), seed=3)
    return [image.get_array() for axes in figure.axes for image in axes.images]


def conflict(model):
    batches = [tiny.views(16, seed) for seed in range(3)]
    found = model.conflict(batches, num_bootstraps=20, seed=3)
    return found.interval


def choose_ensemble(encoder):
    head = layers.ClassificationHead(
        3, kernel_initializer=keras.initializers.RandomNormal(seed=3)
    )
    sources = {"a": (encoders.Classifier(encoder, head), IMAGES // 2)}
    choice = transfer.choose_ensemble(sources, IMAGES, LABELS, max_images=5, seed=3)
    return choice.gains


def probe_features(function, **options):
    return lambda _: list(function(*FOUR, seed=3, **options).values())


# Every public function with a `seed`: what it computes, as a function of an encoder.
CASES = {
    "augment.show_views": show_views,
    "data.batches": batches,
    "data.prune": lambda _: list(
        data.prune(FEATURES, FEATURES[:9] + 1, keep=0.5, num_clusters=3, seed=3).kept
    ),
    "data.multi_views": several_views,
    "data.two_views": streams,
    "transfer.adapt_to_domains": adapt_to_domains,
    "transfer.choose_ensemble": choose_ensemble,
    "transfer.cluster_nmi": lambda _: transfer.cluster_nmi(*FOUR, seed=3),
    "transfer.compare_encoders": compare_encoders,
    "transfer.dense_probe": lambda encoder: list(
        transfer.dense_probe(encoder, IMAGES, MASKS, IMAGES, MASKS, seed=3).values()
    ),
    "transfer.evaluate": evaluate,
    "transfer.few_shot": probe_features(transfer.few_shot, shots=(1, 2), num_draws=3),
    "transfer.fine_tune": fine_tune,
    "transfer.leave_one_domain_out": lambda _: [
        result["predictions"]
        for result in transfer.leave_one_domain_out(
            {"a": FOUR, "b": FOUR}, seed=3
        ).values()
    ],
    "transfer.linear_probe": probe_features(transfer.linear_probe),
    "transfer.merge.atlas": atlas,
    "transfer.moving_clips": lambda _: [
        clip.frames
        for clip in transfer.moving_clips(IMAGES, num_clips=2, side=16, seed=3)
    ],
    "transfer.scores.domain_difference": lambda _: [
        transfer.scores.domain_difference(FOUR[0], FOUR[2], max_images=5, seed=3)
    ],
    "transfer.scores.osborn": lambda _: [
        transfer.scores.osborn([MEMBER], LABELS, max_images=5, seed=3)
    ],
    "transfer.scores.osborn_terms": lambda _: list(
        transfer.scores.osborn_terms([MEMBER], LABELS, max_images=5, seed=3).values()
    ),
    "transfer.semi_supervised": semi_supervised,
}
METHODS = {"TC2Pretrainer.conflict": conflict}  # of a pretrainer


def public_functions_with_a_seed():
    """Their names, by the first room that exports them; rooms within rooms included."""
    found = {}
    for module in pkgutil.walk_packages(tc2.__path__, "keras_tc2."):
        if not module.ispkg:
            continue
        room = importlib.import_module(module.name)
        for name in getattr(room, "__all__", []):
            exported = getattr(room, name)
            if (
                inspect.isfunction(exported)
                and "seed" in inspect.signature(exported).parameters
            ):
                room_name = module.name.removeprefix("keras_tc2.")
                found.setdefault(exported, f"{room_name}.{name}")
    return set(found.values())


def global_draws():
    """What every global generator gives next."""
    return [
        random.random(),
        np.random.random(),
        float(tf.random.uniform(())),
        float(keras.random.uniform(())),
    ]


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    module = importlib.import_module("keras_tc2.transfer.classifiers.fine_tuning")
    monkeypatch.setattr(module, "MIN_STEPS", 1)


class GlobalStateTest(TestCase):
    def test_no_function_with_a_seed_is_missing_here(self):
        assert public_functions_with_a_seed() == set(CASES)

    @pytest.mark.parametrize("name", [*CASES, *METHODS])
    def test_hangs_on_the_seed_alone_and_leaves_global_generators(self, name):
        run = {**CASES, **METHODS}[name]
        results = []
        for seed in (1, 2):
            keras.utils.set_random_seed(seed)
            model = pretrainer() if name in METHODS else encoder()
            keras.utils.set_random_seed(seed)
            before = global_draws()
            keras.utils.set_random_seed(seed)
            made = run(model)
            assert global_draws() == before
            results.append(made)
        for first, second in zip(*map(tf.nest.flatten, results), strict=True):
            np.testing.assert_array_equal(first, second)
