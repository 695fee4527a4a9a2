"""Losses and gradients that turn NaN or infinite: skipped, counted, reported."""

import warnings

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.compat import call_for_each_replica
from keras_tc2.pixels import DARK, TOLERANCE
from keras_tc2.replicas import num_replicas, sum_over_replicas


class SkippedUpdates(keras.metrics.Metric):
    """Counts the updates of an epoch that were skipped, and the terms at fault.

    Args:
        terms: list of str, names of the scalars that are watched, in the order in
            which they are computed; the first two are the views.
        with_labelled_images: bool. Whether steps see labelled images too.
    """

    def __init__(self, terms, *, with_labelled_images=False, name="skipped_updates"):
        super().__init__(name=name, dtype="float32")
        self.terms = list(terms)
        self.with_labelled_images = with_labelled_images
        self.counts = self.add_variable(
            shape=(len(self.terms),), initializer="zeros", name="counts"
        )
        self.skipped = self.add_variable(shape=(), initializer="zeros", name="skipped")
        # Of each of two views: batches out of range, sums of their least and largest
        # pixels, and batches that are practically black.
        self.out_of_range = self.add_variable(
            shape=(2, 3), initializer="zeros", name="out_of_range"
        )
        self.dark = self.add_variable(shape=(2,), initializer="zeros", name="dark")
        if with_labelled_images:
            self.labelled_out_of_range = self.add_variable(
                shape=(3,), initializer="zeros", name="labelled_out_of_range"
            )
            self.labelled_dark = self.add_variable(
                shape=(), initializer="zeros", name="labelled_dark"
            )
        self.in_a_row = _InARow()

    def look_at(self, views):
        """Which of two views have pixels in [0, 1]: a list of bool scalar tensors."""
        fit, out_of_range, dark = zip(*map(_looked_at, views), strict=True)
        self.out_of_range.assign_add(tf.stack(out_of_range))
        self.dark.assign_add(tf.stack(dark))
        return list(fit)

    def look_at_labelled(self, images):
        """Whether labelled images, as views, are in [0, 1]: a bool scalar tensor."""
        fits, out_of_range, dark = _looked_at(images)
        self.labelled_out_of_range.assign_add(out_of_range)
        self.labelled_dark.assign_add(dark)
        return fits

    def check_range(self, where):
        """Raises `ValueError` if views or labelled images were out of [0, 1].

        Args:
            where: str, what the error says of the place and of the weights.
        """
        sums = zip(self.terms, ops.convert_to_numpy(self.out_of_range), strict=False)
        for name, (count, low, high) in sums:
            if count > 0:
                raise ValueError(
                    f"Views must be float in [0, 1]. `{name}` has values from "
                    f"{low / count:.4g} to {high / count:.4g} {where}. Look at the "
                    "data (floats of 0 to 255 are divided by 255) and at the "
                    "augmentation, which is given [0, 1] and must give it back: "
                    "Keras's layers take `value_range=(0, 1)`."
                )
        if not self.with_labelled_images:
            return
        count, low, high = ops.convert_to_numpy(self.labelled_out_of_range)
        if count > 0:
            raise ValueError(
                "Labelled images must be float in [0, 1] or raw integers. They have "
                f"values from {low / count:.4g} to {high / count:.4g} {where}. Divide "
                "by 255, or pass the uint8 images as they are."
            )

    def dark_images(self):
        """What was practically black first, views or labelled images, or `None`."""
        dark = ops.convert_to_numpy(self.dark)
        names = [f"`{n}` is" for n, d in zip(self.terms, dark, strict=False) if d]
        if self.with_labelled_images and ops.convert_to_numpy(self.labelled_dark):
            names.append("All labelled images are")
        return next(iter(names), None)

    def update_state(self, finite_terms, skipped, num_replicas=1):
        """Takes a bool tensor `(terms,)`, and whether the update was skipped.

        Every replica skips together, and a sum over replicas counts it once.
        """
        self.counts.assign_add(1.0 - ops.cast(finite_terms, "float32"))
        self.skipped.assign_add(ops.cast(skipped, "float32") / num_replicas)
        self.in_a_row.update(skipped)

    def result(self):
        """The number of skipped updates since the last reset."""
        return ops.convert_to_tensor(self.skipped)

    def first_at_fault(self):
        """The name of the first term that was not finite."""
        counts = ops.convert_to_numpy(self.counts)
        return next(
            (term for term, n in zip(self.terms, counts, strict=True) if n > 0),
            "gradients",
        )


class _InARow:
    """How many updates in a row were skipped, and how many at most.

    Beside the variables of the metric, which are reset every epoch and saved.
    """

    def __init__(self):
        self._variable = keras.Variable(
            [0.0, 0.0, 0.0],
            dtype="float32",
            trainable=False,
            aggregation="mean",
            synchronization="on_read",
            name="skipped_in_a_row",
        )

    def reset(self):
        """Forgets all."""
        self._variable.assign([0.0, 0.0, 0.0])

    def update(self, skipped):
        """Takes whether an update was skipped, the same on all replicas."""
        now, most, since = tf.unstack(ops.convert_to_tensor(self._variable))
        now = (now + 1.0) * ops.cast(skipped, "float32")
        since = tf.where(now > most, 0.0, since + 1.0)
        self._variable.assign(tf.stack([now, tf.maximum(now, most), since]))

    def most(self):
        """The length of the longest row, and how many updates ago it ended; ints."""
        _, most, since = ops.convert_to_numpy(self._variable)
        return int(most), int(since)


def _looked_at(view):
    """Whether pixels are in [0, 1], their `_extent` if not, and whether all are dark.

    A bool scalar, a float `(3,)` and a float scalar.
    """
    view = ops.cast(view, "float32")
    # NaN is in no range.
    fits = tf.reduce_all(tf.abs(view - 0.5) <= 0.5 + TOLERANCE)
    most = tf.reduce_max(view)
    extent = tf.cond(fits, lambda: tf.zeros(3), lambda: _extent(view))
    return fits, extent, ops.cast((most > 0) & (most < DARK), "float32")


def _extent(view):
    """1, and the least and largest pixel, if all are finite; zeros otherwise."""
    extent = tf.stack([1.0, tf.reduce_min(view), tf.reduce_max(view)])
    finite = tf.math.is_finite(tf.reduce_sum(view))
    return tf.where(finite, extent, tf.zeros(3))


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops a run after too many skipped updates in a row, and says why.

    Args:
        patience: int >= 0. How many updates in a row may be skipped.
        checkpoint: `callbacks.ResumableCheckpoint` of the run, or `None`.

    Raises:
        FloatingPointError: from `fit`, with the step and the first term at fault.
        ValueError: likewise, of a view with pixels out of [0, 1], whatever `patience`.
    """

    def __init__(self, patience, checkpoint=None):
        super().__init__()
        self.patience = patience
        self.checkpoint = checkpoint
        self.before = 0

    def on_train_begin(self, logs=None):
        """Begins to count."""
        self.model.skipped_updates.in_a_row.reset()

    def on_epoch_begin(self, epoch, logs=None):
        """Follows the reset of the metrics, or their return from a checkpoint."""
        self.epoch = epoch
        self.at_begin = True
        # Under a strategy the count is a sum over replicas, which a read must take.
        self.before = float(ops.convert_to_numpy(self.model.skipped_updates.skipped))
        self.first_step = self.checkpoint.steps_before if self.checkpoint else 0

    def on_train_batch_end(self, batch, logs=None):
        """Looks at what was skipped, after every `steps_per_execution` updates."""
        skipped = logs.get("skipped_updates", 0)
        if self.at_begin:
            self._warn_of_darkness()
            self.at_begin = False
        if skipped > self.before:
            self.model.skipped_updates.check_range(
                f"at step {self.first_step + batch} of epoch {self.epoch}; the weights "
                "are those from before"
            )
            in_a_row, since = self.model.skipped_updates.in_a_row.most()
            if in_a_row > self.patience:
                raise FloatingPointError(self._message(batch - since, in_a_row))
        self.before = skipped

    def _warn_of_darkness(self):
        dark = self.model.skipped_updates.dark_images()
        if dark is not None:
            warnings.warn(
                f"{dark} practically black at the beginning of epoch "
                f"{self.epoch}: no pixel is above {DARK:g}. Was it divided by 255 "
                "twice, by `Rescaling` in the augmentation perhaps?",
                stacklevel=2,
            )

    def _message(self, batch, in_a_row):
        step = self.first_step + batch
        term = self.model.skipped_updates.first_at_fault()
        found = f"`{term}` is NaN or infinite at step {step} of epoch {self.epoch}"
        if term.startswith("view"):
            advice = (
                "The images themselves are not finite: look at the data and the "
                "augmentation of this batch."
            )
        elif term == "loss" != self.model.loss_names[0]:
            advice = (
                "All its parts are finite. Their weighted sum overflows, or XLA has "
                "compiled this step and the tasks of the batch are not what they must "
                'be, such as equally many images of each with `task_assignment="given"`'
                "; `compile(jit_compile=False)` names the counts."
            )
        else:
            advice = (
                "Lower the learning rate (or `inner_learning_rate`), clip gradients "
                "with the optimizer's `global_clipnorm`, or look at the images of "
                "this batch."
            )
        if self.checkpoint and self.checkpoint.newest():
            advice += f" The last good checkpoint is {self.checkpoint.newest()}."
        return (
            f"Training stopped: {found}; {in_a_row} update(s) in a row were "
            f"skipped, the weights are those from before. {advice}"
        )


def apply_if(finite, optimizers_gradients_variables, state=()):
    """Applies gradients, and takes over state, only where all is finite.

    Skipped optimizers stay as they were: weights, slots, iterations, loss scale and
    accumulated gradients.

    Args:
        finite: bool scalar tensor, the same on all replicas.
        optimizers_gradients_variables: list of `(optimizer, gradients, variables)`.
        state: list of `(variable, value)`, what else is assigned.
    """

    def apply_on_replica(gradients, values):
        for (variable, _), value in zip(state, values, strict=True):
            variable.assign(value)
        for (optimizer, _, variables), own in zip(
            optimizers_gradients_variables, gradients, strict=True
        ):
            optimizer.apply(own, variables)

    def apply_across_replicas(strategy, finite, gradients, values):
        def apply():
            call_for_each_replica(strategy, apply_on_replica, (gradients, values))
            return True

        first = strategy.experimental_local_results(finite)[0]
        tf.cond(first, apply, lambda: False)

    # A branch may not wait for other replicas, and an optimizer waits for them under
    # every strategy but the default one, however few there are: so the branch stands
    # outside of them.
    tf.distribute.get_replica_context().merge_call(
        apply_across_replicas,
        args=(
            finite,
            [gradients for _, gradients, _ in optimizers_gradients_variables],
            [value for _, value in state],
        ),
    )


def all_replicas(finite):
    """Whether a bool tensor is true on every replica."""
    if num_replicas() == 1:
        return finite
    return sum_over_replicas([1.0 - tf.cast(finite, "float32")])[0] < 0.5
