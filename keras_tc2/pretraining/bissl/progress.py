"""What a run of BiSSL shows while it goes on: the phase, and what was measured."""

import math

import keras


class PhaseProgress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, which also tells the phase, and leaves out NaN."""

    def on_train_batch_end(self, batch, logs=None):
        """Shows the phase of the step that has just been made."""
        self.progbar.unit_name = f"step, {self.model.describe_last_step()}"
        super().on_train_batch_end(batch, _measured(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Ends the line."""
        super().on_epoch_end(epoch, _measured(logs))


def _measured(logs):
    """Without what was not measured, and the phase, which is shown in words."""
    return {
        name: value
        for name, value in (logs or {}).items()
        if name != "phase" and not math.isnan(value)
    }
