"""A page that a person reads after a run: every number over the epochs, in pictures."""

import math
import pathlib
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_tc2.annotations import PathLike
from keras_tc2.callbacks.every_few_epochs import EveryFewEpochs
from keras_tc2.callbacks.run_facts import run_facts
from keras_tc2.reporting import html_page
from keras_tc2.reporting.palette import colour, marker

# What each number means, beside its curve; others are shown under their own name.
UNITS = {
    "loss": "objective",
    "feature_std": "1 = even spread, 0 = collapse",
    "embedding_std": "1 = even spread, 0 = collapse",
    "feature_rank": "effective dimensions",
    "embedding_rank": "effective dimensions",
    "alignment": "squared distance of two views",
    "uniformity": "log potential, lower = more even",
    "conflict_cosine": "cosine, below 0 = conflict",
    "conflict_low": "lower end of its 95 % interval",
    "conflict_high": "upper end of its 95 % interval",
    "between_task_cosine": "cosine, noise included",
    "within_task_cosine": "cosine, noise included",
    "transfer_gap": "outer − inner loss",
    "factor_usage": "share of factors",
    "weight_entropy": "1 = all factors alike",
    "weight_sparsity": "share of small weights",
    "reconstruction": "share outside the factors",
    "reconstruction_error": "share outside the factors",
    "orthogonality": "distance of V Vᵀ from I",
    "sparsity": "mean |W|",
    "task_gradient_cosine": "cosine, noise included",
    "skipped_updates": "updates",
    "calibration_gain": "fall of the objective",
    "learning_rate": "step size",
}


class TrainingReport(EveryFewEpochs):
    """Writes `training_report.html`: curves of all logs, pictures, and the run.

    It tells model, objective, optimizer, versions, machine and duration. The page is
    whole in one file and is written anew as the run goes on. List this
    callback last.

    Args:
        path: where the page goes.
        every_epochs: int >= 1. Written after the first epoch, every so many and the
            last; drawing two dozen curves takes about two seconds. Defaults to `10`.
        pictures_of: callbacks of the same run whose `pictures` it shows, such as
            `EmbeddingPlot` and `TaskConflictMonitor`. Defaults to `()`.
        settings: dict of JSON values that the page shows, such as the run's flags.
            Defaults to `None`.
        title: str. Defaults to `"Training report"`.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        every_epochs: int = 10,
        pictures_of: Sequence[keras.callbacks.Callback] = (),
        settings: Mapping[str, Any] | None = None,
        title: str = "Training report",
    ) -> None:
        super().__init__(every_epochs)
        self.path = pathlib.Path(path).expanduser()
        self.pictures_of = list(pictures_of)
        self.settings = settings
        self.title = title
        self._epochs: list[tuple[int, dict[str, float]]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts with empty curves."""
        super().on_train_begin(logs)
        self._epochs = []
        self._begun = time.time()
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds a point to every curve, and writes the page when it is its turn."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._epochs.append((epoch + 1, values))
        if not self.is_due(epoch):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self._page(), encoding="utf-8")

    def _page(self):
        epoch, latest = self._epochs[-1]
        total = self.params["epochs"]
        parts = [html_page.paragraph(f"Epoch {epoch} of {total}.")]
        reasons = [getattr(watcher, "reason", None) for watcher in self.pictures_of]
        parts += [html_page.paragraph(reason) for reason in reasons if reason]
        facts = run_facts(
            self.model,
            params=self.params,
            num_epochs=len(self._epochs),
            seconds=time.perf_counter() - self._started,
            begun=self._begun,
        )
        parts += [html_page.heading("Run"), html_page.table((), facts)]
        if self.settings:
            parts += [html_page.heading("Settings"), html_page.settings(self.settings)]
        pictures = [
            html_page.picture(figure, name, shown=False)
            for name, figure in curves(self._epochs)
        ]
        parts += [html_page.heading("Curves"), html_page.grid(pictures)]
        for watcher in self.pictures_of:
            for figure, caption in getattr(watcher, "pictures", ()):
                parts.append(html_page.picture(figure, caption))
        rows = [
            (name, _number(value), _unit(name.removeprefix("val_")))
            for name, value in latest.items()
        ]
        parts += [
            html_page.heading("Latest values"),
            html_page.table(("name", "value", "what it is"), rows, numeric=(1,)),
        ]
        return html_page.page(self.title, parts)


def curves(epochs):
    """A small `Figure` for each log name; validation shares that of training.

    Args:
        epochs: list of `(epoch, {name: value})`.

    Returns:
        List of `(name, figure)`.
    """
    names = list(dict.fromkeys(name for _, values in epochs for name in values))
    return [
        (name, _curve(epochs, name, has_validation=f"val_{name}" in names))
        for name in names
        if not _shares_a_panel(name, names)
    ]


def _curve(epochs, name, *, has_validation):
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(3.4, 2.3), layout="constrained")
    panel = figure.subplots()
    for index, series in enumerate((name, f"val_{name}")):
        points = [
            (epoch, values[series])
            for epoch, values in epochs
            if math.isfinite(values.get(series, math.nan))
        ]
        if points:
            panel.plot(
                *zip(*points, strict=True),
                color=colour(index),
                # Dots that would run into one another hide the curve.
                marker=marker(index) if len(points) <= 40 else None,
                markersize=3.5,
                linewidth=1.4,
                label="validation" if index else "training",
            )
    if has_validation:
        panel.legend(fontsize=8)
    panel.set_title(name.replace("_", " "), fontsize=10)
    panel.set_ylabel(textwrap.fill(_unit(name), 24), fontsize=8)
    panel.set_xlabel("epoch", fontsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.tick_params(labelsize=8)
    panel.grid(linewidth=0.3, alpha=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    return figure


def _shares_a_panel(name, names):
    return name.startswith("val_") and name.removeprefix("val_") in names


def _unit(name):
    if name in UNITS:
        return UNITS[name]
    if name.endswith("_accuracy"):
        return "accuracy, share"
    if name.endswith("_loss"):
        return UNITS["loss"]
    return "value"


def _number(value):
    return f"{value:.4g}" if math.isfinite(value) else "not measured"
