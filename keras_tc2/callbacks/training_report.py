"""A page that a person reads after a run: every number over the epochs, in pictures."""

import math
import pathlib

from keras_tc2.callbacks.every_few_epochs import EveryFewEpochs
from keras_tc2.transfer import html_page
from keras_tc2.transfer.palette import colour, marker

# What each number means, beside its curve; others are shown under their own name.
UNITS = {
    "loss": "objective, nats",
    "feature_std": "1 = even spread, 0 = collapse",
    "embedding_std": "1 = even spread, 0 = collapse",
    "feature_rank": "effective dimensions",
    "embedding_rank": "effective dimensions",
    "alignment": "squared distance of two views",
    "uniformity": "log potential, lower = more even",
    "conflict_cosine": "cosine, below 0 = conflict",
    "conflict_share": "share of task pairs",
    "transfer_gap": "outer − inner loss",
    "factor_usage": "share of factors",
    "weight_entropy": "1 = all factors alike",
    "weight_sparsity": "share of small weights",
    "reconstruction": "share outside the factors",
    "reconstruction_error": "share outside the factors",
    "orthogonality": "distance of V Vᵀ from I",
    "sparsity": "mean |W|",
    "task_gradient_cosine": "cosine, below 0 = conflict",
    "skipped_updates": "updates",
    "calibration_gain": "fall of the objective",
    "learning_rate": "step size",
}
COLUMNS = 3


class TrainingReport(EveryFewEpochs):
    """Writes `training_report.html`: curves of all logs, pictures, settings.

    The page is whole in one file and is written anew as the run goes on. List this
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
        path,
        *,
        every_epochs=10,
        pictures_of=(),
        settings=None,
        title="Training report",
    ):
        super().__init__(every_epochs)
        self.path = pathlib.Path(path)
        self.pictures_of = list(pictures_of)
        self.settings = settings
        self.title = title
        self._epochs = []

    def on_train_begin(self, logs=None):
        """Starts with empty curves."""
        super().on_train_begin(logs)
        self._epochs = []

    def on_epoch_end(self, epoch, logs=None):
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
        parts = [html_page.paragraph(f"{self.model.name}: epoch {epoch} of {total}.")]
        reasons = [getattr(watcher, "reason", None) for watcher in self.pictures_of]
        parts += [html_page.paragraph(reason) for reason in reasons if reason]
        rows = [(name, _number(value)) for name, value in latest.items()]
        parts += [
            html_page.picture(
                curves(self._epochs), "Every logged number over the epochs."
            )
        ]
        for watcher in self.pictures_of:
            for figure, caption in getattr(watcher, "pictures", ()):
                parts.append(html_page.picture(figure, caption))
        parts += [
            html_page.heading("Latest values"),
            html_page.table(("name", "value"), rows, numeric=(1,)),
        ]
        if self.settings:
            parts += [html_page.heading("Settings"), html_page.settings(self.settings)]
        return html_page.page(self.title, parts)


def curves(epochs):
    """A `Figure` with a panel for each log name; validation shares its panel.

    Args:
        epochs: list of `(epoch, {name: value})`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = list(dict.fromkeys(name for _, values in epochs for name in values))
    panels_of = [name for name in names if not _shares_a_panel(name, names)]
    rows = math.ceil(len(panels_of) / COLUMNS)
    figure = Figure(figsize=(11, 2.5 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, name in zip(panels, panels_of, strict=False):
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
                    marker=marker(index),
                    markersize=3.5,
                    linewidth=1.4,
                    label="validation" if index else "training",
                )
        if f"val_{name}" in names:
            panel.legend(fontsize=8)
        panel.set_title(name.replace("_", " "), fontsize=10)
        panel.set_ylabel(_unit(name), fontsize=8)
        panel.set_xlabel("epoch", fontsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.tick_params(labelsize=8)
        panel.grid(linewidth=0.3, alpha=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(panels_of) :]:
        panel.set_visible(False)
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
