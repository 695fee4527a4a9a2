"""ResumableCheckpoint: a run that is killed goes on as if nothing had happened."""

import contextlib
import math
import pathlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import PathLike
from keras_tc2.callbacks.checkpoint_file import (
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)
from keras_tc2.callbacks.run_state import (
    configuration,
    differences,
    variables,
    with_new_facts,
    with_new_names,
)
from keras_tc2.compat import set_epochs_done
from keras_tc2.pretraining.core.workers import workers

MAX_DIFFERENCES = 10
# Of labelled images, which versions before 0.2 did not look at.
NEW_COUNTS = "metrics: skipped_updates/labelled_"
TERMINATED = 128 + signal.SIGTERM


class ResumableCheckpoint(keras.callbacks.Callback):
    """Saves a whole run again and again; the same command continues it.

    A checkpoint holds the weights and all other state of the pretrainer, every
    optimizer (a loss scale included), seed generators, the position in the data, the
    metrics of the epoch so far, and the history. When `fit` of a `Pretrainer` is given
    this callback and the folder holds a checkpoint, the run goes on from the epoch and
    the batch after it. With `tf.config.experimental.enable_op_determinism()` it ends
    with weights that are identical, to the bit, to those of a run that was never
    interrupted.

    A checkpoint is written to a new file that is renamed when it is whole and on the
    disk, so a run may be killed at any moment, also while it saves. Should the newest
    file be damaged all the same, the one before it is taken, with a warning. If one
    cannot be written, say on a full disk, the run goes on with a warning and those
    before stay; only at the end of the run it is an error.

    On SIGTERM the run saves after the step it is in, and the process exits with status
    143 (128 + 15), as schedulers expect of a terminated process, without `fit`
    returning.

    What `data.two_views` made is continued at once. Any other `tf.data.Dataset` is
    read, from its first batch of the first epoch, up to the position: that takes time,
    and is the same only if the dataset gives the same in every process. The state of
    other callbacks, of random Keras layers in an `augmentation`, and random numbers
    drawn outside layers and datasets, are not saved. Batch numbers that callbacks get
    in the epoch that is continued start at 0.

    Under `MultiWorkerMirroredStrategy` only the chief writes, all workers read, so
    `folder` must be on a file system that they share; SIGTERM is left alone.

    Args:
        folder: str or path. Created if it does not exist; holds one run.
        every_steps: int >= 1, or `None` for the end of every epoch. Steps between two
            checkpoints. The end of the run is always saved. Defaults to `None`.
        keep: int >= 1. How many checkpoints stay. Defaults to `2`.
        allow_changes: bool. Whether to go on, with a warning, when arguments of the
            model, the optimizers or the data differ from those of the checkpoint.
            Where an epoch has another number of steps, by another batch size say, the
            run goes on in the same epoch, after the same share of it. Variables that
            differ are always an error. Defaults to `False`.

    Raises:
        ValueError: from `fit`, if the checkpoint is of another model or configuration,
            with what differs; or if the length of an epoch is not known.
        OSError: from `fit`, if the end of the run could not be saved.

    Example:
    ```python
    import tempfile

    import keras
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), "uint8")
    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.SSLPretrainer(encoder, objective="nt_xent")
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    views = tc2.data.two_views(images, batch_size=32)
    checkpoint = tc2.callbacks.ResumableCheckpoint(tempfile.mkdtemp(), every_steps=100)
    model.fit(views, epochs=1, callbacks=[checkpoint])
    ```
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        every_steps: int | None = None,
        keep: int = 2,
        allow_changes: bool = False,
    ) -> None:
        super().__init__()
        self.folder = pathlib.Path(folder).expanduser()
        self.every_steps = checks.optional(checks.integer, "every_steps", every_steps)
        self.keep = checks.integer("keep", keep)
        self.allow_changes = allow_changes
        self.steps_before = 0
        self._active = False

    def newest(self) -> pathlib.Path | None:
        """The path of the newest checkpoint, or `None`."""
        return max(self.folder.glob("step_*.npz"), default=None)

    # What `Pretrainer.fit` calls around the run.

    @contextlib.contextmanager
    def resuming(
        self, model: keras.Model, *, steps_per_epoch: int, data: Mapping[str, Any]
    ) -> Iterator[int]:
        """Restores the newest checkpoint; within it, the run is saved.

        Args:
            model: compiled `Pretrainer`.
            steps_per_epoch: int.
            data: dict that describes the data.

        Yields:
            int, how many steps of the run are done.
        """
        strategy = model.distribute_strategy
        self._num_workers, self._is_chief = workers(strategy)
        self._steps_per_epoch = steps_per_epoch
        self._configuration = configuration(
            model, {**data, "steps_per_epoch": steps_per_epoch}
        )
        self._variables = variables(model)
        self._history: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._terminated = False
        if self._is_chief:
            self.folder.mkdir(parents=True, exist_ok=True)
            for unfinished in self.folder.glob(".step_*.unfinished.*"):
                unfinished.unlink(missing_ok=True)
        path, self._done = self._restore(model.steps_per_execution)
        self._saved = self._done
        if self._num_workers > 1:
            _check_same_step(strategy, self._done, self.folder)
        if path is not None and self._is_chief:
            self._number_as(path, self._done)
        self.steps_before = self._done % steps_per_epoch
        self._active = True
        try:
            with self._on_sigterm():
                yield self._done
        finally:
            self._active = False

    def _restore(self, steps_per_execution):
        """Takes over the newest whole checkpoint.

        Returns:
            `(path, step)`: the checkpoint, `None` for none, and how many steps of the
            run are done, in epochs of as many steps as now.
        """
        for path in sorted(self.folder.glob("step_*.npz"), reverse=True):
            try:
                manifest, arrays = read_checkpoint(path)
            except DamagedCheckpointError as error:
                warnings.warn(
                    f"The checkpoint {path} is damaged ({error}). It was renamed, and "
                    "the one before it is taken; without one, the run starts anew.",
                    stacklevel=2,
                )
                if self._is_chief:
                    path.rename(path.with_suffix(".damaged"))
                continue
            self._check(path, manifest, arrays)
            for name, variable in self._variables.items():
                if not name.startswith("metrics:"):
                    variable.assign(arrays[name])
            self._metrics = {
                name: array
                for name, array in arrays.items()
                if name.startswith("metrics:")
            }
            self._history = manifest["history"]
            before = manifest["configuration"]["data/steps_per_epoch"]
            share = manifest["batch"] * self._steps_per_epoch // before
            share -= share % steps_per_execution
            return path, manifest["epoch"] * self._steps_per_epoch + share
        return None, 0

    def _number_as(self, path, step):
        """Lets a checkpoint be the newest where epochs had more or fewer steps."""
        if path == self._path(step):
            return
        for other in self.folder.glob("step_*.npz"):
            if other != path and other >= self._path(step):
                other.unlink(missing_ok=True)
        path.replace(self._path(step))

    def _path(self, step):
        return self.folder / f"step_{step:010d}.npz"

    def _check(self, path, manifest, arrays):
        """Raises `ValueError` if the checkpoint is of another run."""
        variables = {
            name: variable
            for name, variable in self._variables.items()
            if name in arrays or not name.startswith(NEW_COUNTS)
        }
        lines = differences(
            {name: f"{a.dtype}{list(a.shape)}" for name, a in arrays.items()},
            {name: f"{v.dtype}{list(v.shape)}" for name, v in variables.items()},
        )
        is_other_model = bool(lines)
        saved = with_new_facts(
            with_new_names(manifest["configuration"]), self._configuration
        )
        lines += differences(saved, self._configuration)
        if not lines:
            return
        more = len(lines) - MAX_DIFFERENCES
        shown = lines[:MAX_DIFFERENCES] + ([f"and {more} more"] if more > 0 else [])
        message = f"The checkpoint {path} is of another run:\n  " + "\n  ".join(shown)
        if self.allow_changes and not is_other_model:
            warnings.warn(message, stacklevel=2)
            return
        advice = (
            "\nGive `ResumableCheckpoint` another folder, or go on with the arguments "
            "of that run."
        )
        if not is_other_model:
            advice += (
                " To go on with the new ones, such as a longer schedule, give "
                "`ResumableCheckpoint(..., allow_changes=True)`."
            )
        raise ValueError(message + advice)

    # What Keras calls.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses models that do not restore it."""
        if not self._active:
            raise ValueError(
                "`ResumableCheckpoint` works with the `fit` of a keras_tc2 Pretrainer. "
                f"Received: {type(self.model).__name__}"
            )
        self.model.history.history.update(self._history)

    def _restore_history(self):
        # Keras empties this list when training begins, after `on_train_begin` here.
        if self._history:
            set_epochs_done(self.model, self._done // self._steps_per_epoch)
            self._history = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restores the metrics of an epoch in the middle, or saves between two."""
        self._restore_history()
        if self.steps_before:
            for name, array in self._metrics.items():
                self._variables[name].assign(array)
        self._first_of_epoch = epoch * self._steps_per_epoch + self.steps_before
        self._done = self._first_of_epoch
        self._save_if_due(epoch_ended=True)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Saves what the batches before have led to, callbacks included."""
        self._save_if_due(epoch_ended=False)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Counts; and ends an epoch that began in the middle."""
        self._done = self._first_of_epoch + batch + 1
        if self.steps_before and self._done % self._steps_per_epoch == 0:
            self._stops_anyway = self.model.stop_training
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Lets the run go on after an epoch that began in the middle."""
        if self.steps_before and self._done % self._steps_per_epoch == 0:
            self.model.stop_training = self._stops_anyway
        self.steps_before = 0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Saves the end of the run."""
        self._restore_history()
        if self._done > self._saved:
            self._save()
        self._exit_if_terminated()

    # Saving.

    def _save_if_due(self, *, epoch_ended):
        new_steps = self._done - self._saved
        due = new_steps >= (self.every_steps or math.inf)
        due |= epoch_ended and self.every_steps is None
        if new_steps and (due or self._terminated):
            try:
                self._save()
            except OSError as error:
                warnings.warn(
                    f"No checkpoint could be written after step {self._done}: {error}. "
                    f"The run goes on; the newest checkpoint is {self.newest()}.",
                    stacklevel=2,
                )
                self._saved = self._done
        self._exit_if_terminated()

    def _save(self):
        # Every worker reads: the sum of a metric over workers needs them all.
        arrays = {
            name: np.asarray(variable.numpy())
            for name, variable in self._variables.items()
        }
        self._saved = self._done
        if not self._is_chief:
            return
        manifest = {
            "step": self._done,
            "epoch": self._done // self._steps_per_epoch,
            "batch": self._done % self._steps_per_epoch,
            "configuration": self._configuration,
            "history": {
                key: [np.asarray(value).tolist() for value in values]
                for key, values in self.model.history.history.items()
            },
        }
        write_checkpoint(self._path(self._done), manifest, arrays)
        for old in sorted(self.folder.glob("step_*.npz"))[: -self.keep]:
            old.unlink(missing_ok=True)

    # Termination.

    @contextlib.contextmanager
    def _on_sigterm(self):
        """Within it, SIGTERM is noted; the next chance to save acts on it."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if self._num_workers > 1 or not in_main_thread:
            yield
            return

        def note(number, frame):
            self._terminated = True

        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        # It may have come when other callbacks ended the training.
        self._exit_if_terminated()

    def _exit_if_terminated(self):
        if not self._terminated:
            return
        print(
            f"SIGTERM: stopped after step {self._done}. The newest checkpoint is "
            f"{self.newest()}; the same command continues the run.",
            file=sys.stderr,
            flush=True,
        )
        raise SystemExit(TERMINATED)


def _check_same_step(strategy, step, folder):
    """Raises `ValueError` if the workers do not start from the same checkpoint."""
    steps = strategy.run(lambda: tf.constant([step], tf.int64))
    steps = strategy.gather(steps, axis=0).numpy()
    if np.any(steps != step):
        raise ValueError(
            f"The workers found checkpoints of different steps, {sorted(set(steps))}: "
            f"`folder` must be on a file system that all workers share. Received: "
            f"folder={str(folder)!r}"
        )
