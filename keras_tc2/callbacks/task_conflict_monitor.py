"""Whether tasks pull against one another, and what calibration makes of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Figure, Tensor
from keras_tc2.bilevel.task_conflict import TaskConflict
from keras_tc2.callbacks.every_few_epochs import LoggedMeasurement
from keras_tc2.callbacks.held_batch import held_batches
from keras_tc2.pretraining.tc2.diagnosis import checked_for_conflict
from keras_tc2.reporting.palette import COLOURS

NAMES = (
    "conflict_cosine",
    "conflict_low",
    "conflict_high",
    "between_task_cosine",
    "within_task_cosine",
    "transfer_gap",
    "factor_usage",
    "weight_entropy",
    "weight_sparsity",
    "reconstruction_error",
    "calibration_gain",
)


class TaskConflictMonitor(LoggedMeasurement):
    """Measures conflict and calibration of a `TC2Pretrainer` on held batches.

    Adds to the logs, at the end of epochs, from all of the batches:

    - `conflict_cosine`: mean cosine of the expected gradients of two tasks, free of the
      noise of a batch, and `conflict_low` and `conflict_high`, its 95 % interval;
    - `between_task_cosine`, `within_task_cosine`: mean cosine of two gradients of two
      tasks and of one, as measured, noise included;

    from the first of them:

    - `transfer_gap`: outer minus inner loss, in nats for a contrastive objective: what
      it costs a task to be served by weights adapted to another;
    - `factor_usage`: share of factors that carry at least a tenth of an even share of
      the mean |W|;
    - `weight_entropy`: entropy of each sample's |W| over factors, over log K: 1 is all
      factors alike, 0 a single one; the mean over samples;
    - `weight_sparsity`: share of |W| below a tenth of the mean |W|;
    - `reconstruction_error`: share of the embeddings' energy outside the factors;
    - `calibration_gain`: the objective on uncalibrated minus that on calibrated
      embeddings of the tasks.

    What a switched-off part of the model does not have is left out.

    Args:
        views: `tf.data.Dataset` of `(view_1, view_2[, task_ids])`, such as `fit` is
            given, whose first batches are kept and used each time. It may be the
            dataset of training: nothing of it changes. Of one batch, a tuple, conflict
            cannot be told, and its measures are left out.
        num_batches: int >= 2, the batches that conflict is measured on. Defaults to
            `8`.
        every_epochs: int >= 1. After the first epoch, every so many and the last;
            between them the logs hold NaN. Defaults to `1`.

    Attributes:
        conflict: `bilevel.TaskConflict`, the latest, or None.
        pictures: list of `(figure, caption)`, for `TrainingReport`.

    Raises:
        ValueError: in `fit`, before it trains, if the model is no `TC2Pretrainer`, or
            if there are fewer than four images a task where tasks are clusters.
    """

    def __init__(
        self,
        views: tf.data.Dataset | Sequence[Tensor],
        *,
        num_batches: int = 8,
        every_epochs: int = 1,
    ) -> None:
        super().__init__(every_epochs)
        self.views = views
        self.num_batches = checks.integer("num_batches", num_batches, at_least=2)
        self.conflict: TaskConflict | None = None
        self.pictures: list[tuple[Figure, str]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the batches that are watched."""
        if not hasattr(self.model, "diagnose"):
            raise ValueError(
                "TaskConflictMonitor needs a TC2Pretrainer. Received a "
                f"{type(self.model).__name__}, which has no tasks."
            )
        super().on_train_begin(logs)
        self._batches = held_batches(self.views, self.num_batches)
        if len(self._batches) > 1:
            checked_for_conflict(self.model, self._batches[0])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the measurements to `logs`, and draws the cosines."""
        before = self.conflict
        super().on_epoch_end(epoch, logs)
        if self.conflict is not before:
            self.pictures = [conflict_figure(self.conflict, epoch)]

    def measure(self) -> dict[str, float]:
        """Returns `{name in the logs: value}` for the model as it is now."""
        measured: dict[str, float] = {}
        if len(self._batches) > 1:
            conflict = self.model.conflict(self._batches)
            self.conflict = conflict
            low, high = conflict.interval
            measured |= {
                "conflict_cosine": conflict.mean,
                "conflict_low": low,
                "conflict_high": high,
                "between_task_cosine": conflict.between,
                "within_task_cosine": conflict.within,
            }
        found = {
            name: np.asarray(value, "float64")
            for name, value in self.model.diagnose(*self._batches[0]).items()
        }
        if "transfer_gap" in found:
            measured["transfer_gap"] = float(found["transfer_gap"])
        if "weights" in found:
            measured |= weight_statistics(found["weights"])
            measured["reconstruction_error"] = float(found["reconstruction"])
            measured["calibration_gain"] = float(found["calibration_gain"])
        return {name: measured[name] for name in NAMES if name in measured}


def weight_statistics(weights):
    """Usage, entropy and sparsity of weights `(samples, factors)`.

    All zero weights, as at the start of training, use no factor, and count as evenly
    spread and wholly sparse.
    """
    sizes = np.abs(weights)
    mean = sizes.mean()
    if mean == 0:
        return {"factor_usage": 0.0, "weight_entropy": 1.0, "weight_sparsity": 1.0}
    totals = sizes.sum(axis=1, keepdims=True)
    used = sizes[totals[:, 0] > 0] / totals[totals[:, 0] > 0]
    logs = np.log(np.where(used > 0, used, 1.0))
    entropy = -np.sum(used * logs, axis=1) / max(np.log(weights.shape[1]), 1e-12)
    return {
        "factor_usage": float(np.mean(sizes.mean(axis=0) >= 0.1 * mean)),
        "weight_entropy": float(entropy.mean()),
        "weight_sparsity": float(np.mean(sizes < 0.1 * mean)),
    }


def conflict_figure(conflict, epoch):
    """The mean cosine, and that of each pair where tasks last: `(figure, caption)`."""
    from matplotlib.figure import Figure

    number = 0 if conflict.cosines is None else len(conflict.cosines)
    side = max(3.0, 0.75 * number + 1.2)
    figure = Figure(
        figsize=(5.2 + (side + 1) * bool(number), side if number else 2.4),
        layout="constrained",
    )
    panels = figure.subplots(
        1, 1 + bool(number), squeeze=False, width_ratios=[5.2, side][: 1 + bool(number)]
    )[0]
    draw_means(panels[0], conflict)
    panels[0].set_title(f"Do tasks agree? (after epoch {epoch + 1})")
    if number:
        image = draw_cosines(panels[1], conflict)
        figure.colorbar(image, label="cosine of expected gradients", shrink=0.85)
    return figure, f"After epoch {epoch + 1}. {conflict}"


def draw_means(panel, conflict):
    """The mean cosines, as measured and free of noise.

    Args:
        panel: matplotlib axes.
        conflict: `bilevel.TaskConflict`.
    """
    low, high = conflict.interval
    rows = [
        ("one task,\nas measured", conflict.within, "0.5"),
        ("two tasks,\nas measured", conflict.between, "0.5"),
        ("two tasks,\nfree of noise", conflict.mean, COLOURS[0]),
    ]
    for height, (_, value, colour) in enumerate(rows):
        panel.plot(value, height, "o", color=colour)
        panel.annotate(
            f"{value:.2f}",
            (value, height),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    panel.plot([low, high], [2, 2], color=COLOURS[0], lw=2)
    panel.axvline(0, color="0.7", lw=1)
    panel.set_yticks(range(3), [label for label, _, _ in rows])
    panel.set_xlim(-1.2, 1.2)
    panel.set_ylim(-0.6, 2.7)
    panel.set_xlabel("mean cosine of two gradients\n(below 0: conflict)")


def draw_cosines(panel, conflict):
    """The cosines of tasks that are the same in every batch, with their intervals.

    Args:
        panel: matplotlib axes.
        conflict: `bilevel.TaskConflict` whose `cosines` are not `None`.

    Returns:
        The image, for a colour bar.
    """
    from matplotlib.colors import LinearSegmentedColormap

    # Orange for conflict, white for none, blue for agreement.
    colours = LinearSegmentedColormap.from_list(
        "conflict", [COLOURS[3], "#ffffff", COLOURS[0]]
    )
    image = panel.imshow(conflict.cosines, cmap=colours, vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(conflict.cosines):
        low, high = conflict.intervals[:, row, column]
        panel.text(
            column,
            row,
            f"{value:.2f}" + (f"\n{low:.1f} to {high:.1f}" if row != column else ""),
            ha="center",
            va="center",
            color="white" if abs(value) > 0.6 else "black",
            fontsize=8,
        )
    panel.set_xticks(range(len(conflict.cosines)))
    panel.set_yticks(range(len(conflict.cosines)))
    panel.set(xlabel="task", ylabel="task")
    return image
