"""A sentence, once, when a part of TC² makes things worse instead of better."""

import warnings

import keras

# Without any factor the reconstruction is 1; batches differ a little.
MOST_RECONSTRUCTION = 1.5
# The mean over fewer steps of an epoch is that of its noise.
FEWEST_STEPS = 10


class WarnOfGrowth(keras.callbacks.Callback):
    """Warns of an inner step that does harm, and of factors that explain nothing.

    `fit` of a pretrainer adds it. It reads `inner_loss`, `outer_loss` and
    `reconstruction`, the means over the epoch so far, from its tenth step on and at
    its end, and warns of each at most once a run:

    - the outer loss is above the inner one by more than the size of the inner loss:
      weights adapted to one task are useless to the next, as after a step too long;
    - the reconstruction is above 1.5, where no factors at all would give 1.
    """

    def on_train_begin(self, logs=None):
        """Nothing has been said."""
        self.said = set()
        self.size = 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the means so far."""
        if batch + 1 >= FEWEST_STEPS:
            self._judge(logs or {})

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the means of an epoch, which may be short."""
        self._judge(logs or {})

    def _judge(self, logs):
        if "inner_loss" in logs and "outer_loss" in logs:
            inner, outer = float(logs["inner_loss"]), float(logs["outer_loss"])
            # The largest so far: a loss may pass through zero.
            self.size = max(self.size, abs(inner))
            if outer - inner > self.size:
                self._say(
                    "inner step",
                    f"The inner step does harm: the loss of a task is {inner:.3g} "
                    f"before it and {outer:.3g} under weights adapted to another. "
                    "Lower `inner_learning_rate`, bound the step by `inner_clipnorm`, "
                    "or switch it off with `num_inner_steps=0`.",
                )
        reconstruction = float(logs.get("reconstruction", 0.0))
        if reconstruction > MOST_RECONSTRUCTION:
            self._say(
                "reconstruction",
                f"The factors have diverged: the reconstruction is "
                f"{reconstruction:.3g}, where no factors at all would give 1. Lower "
                "the learning rate, give the calibrator its own by "
                "`compile(calibrator_optimizer=...)`, or raise "
                "`orthogonality_weight`.",
            )

    def _say(self, what, sentence):
        if what not in self.said:
            self.said.add(what)
            warnings.warn(sentence, stacklevel=2)
