"""Every callback with every objective and both pretrainers, and without a trace."""

import functools
import pathlib
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import (
    SSLPretrainer,
    TC2Pretrainer,
    callbacks,
    data,
    encoders,
    layers,
    objectives,
)
from tests import tiny
from tests.hub.conftest import TOKEN, server  # noqa: F401
from tests.test_case import TestCase

IMAGES = np.random.default_rng(0).integers(0, 256, (16, *tiny.IMAGE_SHAPE), "uint8")
LABELS = np.arange(16) % 2


def labelled():
    return IMAGES, LABELS


# As README and docstrings write them, from the training's views and a folder.
CALLBACKS = {
    "CollapseGuard": lambda views, folder: callbacks.CollapseGuard(),
    "CollapseGuard(views)": lambda views, folder: callbacks.CollapseGuard(views),
    "EmbeddingPlot": lambda views, folder: callbacks.EmbeddingPlot(*labelled()),
    "OnlineProbe": lambda views, folder: callbacks.OnlineProbe(
        *labelled(), *labelled()
    ),
    "PushToHub": lambda views, folder: callbacks.PushToHub("me/enc", token=TOKEN),
    "ResumableCheckpoint": lambda views, folder: callbacks.ResumableCheckpoint(folder),
    "StepTimer": lambda views, folder: callbacks.StepTimer(),
    "TaskConflictMonitor": lambda views, folder: callbacks.TaskConflictMonitor(views),
    "TrainingReport": lambda views, folder: callbacks.TrainingReport(folder / "a.html"),
}
ONLY_TASKS = {"TaskConflictMonitor"}
# Those that compute with the pretrainer, not with its encoder, watch the whole method.
WATCHED = {"CollapseGuard(views)", "ResumableCheckpoint", "TaskConflictMonitor"}
KINDS = {"ssl": SSLPretrainer, "tc2": TC2Pretrainer}
# One objective of each kind of need; the others take minutes to trace, and callbacks
# know no objective. NT-Xent under TC² is what `test_changes_nothing` watches, and
# `task_conflict_monitor_test` diagnoses all.
EACH_NEED = {"ssl": {"nt_xent", "byol", "swav", "sim_mim"}, "tc2": {"sim_mim"}}
COMBINATIONS = [
    pytest.param(
        kind,
        objective,
        marks=[pytest.mark.slow] * (objective not in EACH_NEED[kind]),
    )
    for kind in KINDS
    for objective in objectives.names()
]


def pretrainer(kind, objective):
    """Batch statistics and random states: what a careless watcher would move."""
    encoder = encoders.create("convnet", input_shape=tiny.IMAGE_SHAPE, widths=(4,))
    arguments = {"projector": layers.ProjectionHead(4)}
    if kind == "ssl":
        dropout = keras.layers.Dropout(0.3, seed=5)
        arguments = {"projector": keras.Sequential([keras.layers.Dense(4), dropout])}
    if kind == "tc2":
        arguments |= tiny.WHOLE_TC2
    model = KINDS[kind](encoder, objective=objective, **arguments)
    model.compile(keras.optimizers.SGD(0.01))
    return model


def run(kind, chosen, folder, *, objective="nt_xent", epochs=3):
    """History and weights of a run, and what every random state gives after it."""
    keras.utils.set_random_seed(7)
    views = data.two_views(IMAGES, batch_size=8)
    model = pretrainer(kind, objective)
    watchers = [CALLBACKS[name](views, folder) for name in chosen]
    history = model.fit(views, epochs=epochs, callbacks=watchers, verbose=0).history
    draws = [random.random(), np.random.rand(), float(tf.random.uniform(()))]
    draws.append(float(keras.random.uniform(())))
    return history, [np.array(v) for v in model.variables], draws


@functools.cache
def unwatched(kind):
    return run(kind, [], None)


@pytest.mark.filterwarnings("ignore:After epoch")  # Tiny models may well collapse.
class EveryCallbackTest(TestCase):
    def test_every_callback_is_here(self):
        names = {name.split("(")[0] for name in CALLBACKS}
        assert names == set(callbacks.__all__)

    def test_the_home_folder(self):
        home = pathlib.Path.home()
        assert callbacks.ResumableCheckpoint("~/run").folder == home / "run"
        assert callbacks.TrainingReport("~/a.html").path == home / "a.html"
        plot = callbacks.EmbeddingPlot(IMAGES, LABELS, folder="~/a", log_dir="~/b")
        assert (plot.folder, plot.log_dir) == (home / "a", home / "b")

    @pytest.mark.parametrize(("kind", "objective"), COMBINATIONS)
    def test_with_every_objective(self, kind, objective, tmp_path, server):  # noqa: F811
        watches_tasks = kind == "tc2"
        chosen = [c for c in CALLBACKS if watches_tasks or c not in ONLY_TASKS]
        history, _, _ = run(kind, chosen, tmp_path, objective=objective, epochs=2)
        measured = {"loss", "embedding_std", "embedding_rank", "probe_knn_accuracy"}
        measured |= {"conflict_cosine", "factor_usage"} if watches_tasks else set()
        for name in measured:
            assert len(history[name]) == 2 and np.all(np.isfinite(history[name])), name
        assert (tmp_path / "a.html").stat().st_size > 1000
        assert server.files("me/enc")["model.weights.h5"]

    @pytest.mark.parametrize("name", list(CALLBACKS))
    def test_changes_nothing(self, name, tmp_path, server):  # noqa: F811
        kind = "tc2" if name in WATCHED else "ssl"
        history, variables, draws = run(kind, [name], tmp_path)
        expected_history, expected_variables, expected_draws = unwatched(kind)
        assert history["loss"] == expected_history["loss"]
        for actual, expected in zip(variables, expected_variables, strict=True):
            np.testing.assert_array_equal(actual, expected)
        assert draws == expected_draws
