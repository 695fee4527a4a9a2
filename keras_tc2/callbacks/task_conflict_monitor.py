"""Whether tasks pull against one another, and what calibration makes of it."""

import numpy as np

from keras_tc2.callbacks.every_few_epochs import LoggedMeasurement
from keras_tc2.callbacks.held_batch import held_batch
from keras_tc2.transfer.palette import COLOURS

NAMES = (
    "conflict_cosine",
    "conflict_share",
    "transfer_gap",
    "factor_usage",
    "weight_entropy",
    "weight_sparsity",
    "reconstruction_error",
    "calibration_gain",
)


class TaskConflictMonitor(LoggedMeasurement):
    """Measures conflict and calibration of a `TC2Pretrainer` on one held batch.

    Adds to the logs, at the end of epochs:

    - `conflict_cosine`: mean cosine of the gradients of two tasks;
    - `conflict_share`: share of pairs of tasks whose cosine is below zero;
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
            given, whose first batch is kept and used each time, or one such batch. It
            may be the dataset of training: nothing of it changes.
        every_epochs: int >= 1. After the first epoch, every so many and the last;
            between them the logs hold NaN. Defaults to `1`.

    Attributes:
        cosines: array `(num_tasks, num_tasks)`, the latest, or None.
        pictures: list of `(figure, caption)`, for `TrainingReport`.

    Raises:
        ValueError: in `fit`, if the model is no `TC2Pretrainer`.
    """

    def __init__(self, views, *, every_epochs=1):
        super().__init__(every_epochs)
        self.views = views
        self.cosines = None
        self.pictures = []

    def on_train_begin(self, logs=None):
        """Takes the batch that is watched."""
        if not hasattr(self.model, "diagnose"):
            raise ValueError(
                "TaskConflictMonitor needs a TC2Pretrainer. Received a "
                f"{type(self.model).__name__}, which has no tasks."
            )
        super().on_train_begin(logs)
        self._batch = held_batch(self.views)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the measurements to `logs`, and draws the matrix of cosines."""
        before = self.cosines
        super().on_epoch_end(epoch, logs)
        if self.cosines is not before:
            self.pictures = [conflict_figure(self.cosines, epoch)]

    def measure(self):
        """Returns `{name in the logs: value}` for the model as it is now."""
        found = {
            name: np.asarray(value, "float64")
            for name, value in self.model.diagnose(*self._batch).items()
        }
        self.cosines = found["gradient_cosines"]
        pairs = self.cosines[np.triu_indices(len(self.cosines), k=1)]
        measured = {
            "conflict_cosine": float(pairs.mean()),
            "conflict_share": float(np.mean(pairs < 0)),
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


def conflict_figure(cosines, epoch):
    """The matrix of cosines as a heat map with its numbers: `(figure, caption)`."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    number = len(cosines)
    side = max(4.0, 0.6 * number + 1.8)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    panel = figure.subplots()
    # Orange for conflict, white for none, blue for agreement.
    colours = LinearSegmentedColormap.from_list(
        "conflict", [COLOURS[3], "#ffffff", COLOURS[0]]
    )
    image = panel.imshow(cosines, cmap=colours, vmin=-1, vmax=1)
    for row in range(number):
        for column in range(number):
            value = cosines[row, column]
            panel.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                color="white" if abs(value) > 0.6 else "black",
                fontsize=9,
            )
    panel.set_xticks(range(number))
    panel.set_yticks(range(number))
    panel.set_xlabel("task")
    panel.set_ylabel("task")
    panel.set_title(f"Do tasks agree? (after epoch {epoch + 1})")
    figure.colorbar(image, label="cosine of inner gradients", shrink=0.85)
    caption = (
        f"Cosines of the tasks' inner gradients after epoch {epoch + 1}: below zero, a "
        "step that helps one task harms the other."
    )
    return figure, caption
