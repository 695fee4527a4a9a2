"""An epoch's line on the screen: few of its numbers. `history` holds them all."""

import math

import keras

# Beside what is measured by labels, which is what a person waits for.
SHOWN = ("loss", "embedding_std", "val_loss")


class ShortProgress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with a short choice of numbers.

    `fit` of a pretrainer adds it in place of Keras's own, whose line would hold thirty
    numbers with the callbacks of this library. It shows the loss, the spread of the
    embeddings, validation loss, accuracies that a probe measured, the metrics given to
    `compile`, and skipped updates where there are any. With
    `callbacks=[keras.callbacks.ProgbarLogger()]` `fit` shows everything.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Shows the numbers so far."""
        super().on_train_batch_end(batch, self._chosen(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Ends the line."""
        super().on_epoch_end(epoch, self._chosen(logs))

    def _chosen(self, logs):
        metrics = getattr(self.model, "names_of_metrics", ())
        shown = {*SHOWN, *metrics, *(f"val_{name}" for name in metrics)}
        return {
            name: value
            for name, value in (logs or {}).items()
            if (name in shown or name.endswith("_accuracy") or _skips(name, value))
            and not math.isnan(value)
        }


def _skips(name, value):
    return name == "skipped_updates" and value > 0
