"""The training step of every pretrainer: gradients, updates, metrics."""

import collections
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.bilevel import value_and_gradients
from keras_tc2.compat import overrides
from keras_tc2.pretraining.core import xla
from keras_tc2.pretraining.core.arguments import check_compile_arguments
from keras_tc2.pretraining.core.batch import Batch, as_tensors
from keras_tc2.pretraining.core.embedding_std import EmbeddingStd
from keras_tc2.pretraining.core.forward import assigned, first_two
from keras_tc2.pretraining.core.nonfinite import SkippedUpdates, all_replicas, apply_if
from keras_tc2.pretraining.core.regularizers import penalty
from keras_tc2.pretraining.core.workers import reducible
from keras_tc2.replicas import num_replicas


class TrainingStep(keras.Model):
    """What a step does with the losses of a batch. `Pretrainer` is the whole.

    Several optimizers, loss scales, replicas, the state that layers leave behind, and
    updates that are skipped because something was not finite.
    """

    # Whether the calibrator is updated after the rest, by the gradient that is then.
    alternating = False
    # Whether a batch brings labelled images beside its views.
    with_labelled_images = False
    # Attributes that hold an optimizer beside the main one, or `None`.
    further_optimizers: tuple[str, ...] = ("calibrator_optimizer",)

    def compile(
        self,
        optimizer: str | keras.Optimizer = "adam",
        *,
        calibrator_optimizer: str | keras.Optimizer | None = None,
        metrics: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training, and builds every optimizer on its variables.

        Beside its losses a pretrainer logs `embedding_std`, how far the l2-normalised
        embeddings of view 1 spread (1 evenly, 0 not at all: collapse), which
        `callbacks.CollapseGuard` watches, and `skipped_updates`.

        Args:
            optimizer: Keras optimizer, or its name.
            calibrator_optimizer: Keras optimizer for the calibrator's variables
                alone, or `None` for one optimizer of all; for one with the arguments
                of the other if updates alternate. Defaults to `None`.
            metrics: Keras metrics; each is given the embeddings of view 1 as
                `y_true` and those of view 2 as `y_pred`, so that
                `keras.metrics.CosineSimilarity()` tells how well the views agree.
            jit_compile: bool or `"auto"`: whether XLA compiles the step of training,
                never that of `evaluate`. `"auto"` does on a GPU, if there is one
                replica and XLA can compile the model, and says so by a warning if it
                cannot. That choice is by reasoning until it is measured; on a CPU XLA
                was measured, and is slower (see `benchmarks/`). Defaults to `"auto"`.
            **kwargs: `run_eagerly`, `steps_per_execution` and so on, as in
                `keras.Model.compile`.

        Raises:
            ValueError: if there is no calibrator to give an optimizer to, or for a
                `loss`, which the objective is, or `steps_per_execution="auto"`, or
                for `jit_compile=True` on several replicas.
        """
        check_compile_arguments(kwargs)
        xla.check_jit_compile(jit_compile, self.distribute_strategy)
        calibrator = self.calibrator_variables
        if calibrator_optimizer is not None and not calibrator:
            raise ValueError(
                "`calibrator_optimizer` was given, but this model has no calibrator."
            )
        super().compile(
            optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, **kwargs
        )
        self.may_run_without_xla = jit_compile == "auto"
        if self.may_run_without_xla and not xla.pays(self.distribute_strategy):
            self.jit_compile = False
        self.names_of_metrics = tuple(
            getattr(metric, "name", getattr(metric, "__name__", metric))
            for metric in keras.tree.flatten(metrics or [])
        )
        self.calibrator_optimizer = calibrator_optimizer and keras.optimizers.get(
            calibrator_optimizer
        )
        if self.alternating and self.calibrator_optimizer is None:
            self.calibrator_optimizer = type(self.optimizer).from_config(
                self.optimizer.get_config()
            )
        if _scales(self.optimizer):
            for name in self.further_optimizers:
                setattr(self, name, _with_loss_scale(getattr(self, name)))
        for part, variables in self.optimized_variables:
            part.build(variables)
        self.loss_trackers = {
            name: keras.metrics.Mean(name=name) for name in self.loss_names
        }
        self.embedding_std = EmbeddingStd()
        self.skipped_updates = SkippedUpdates(
            ["view_1", "view_2", *self.loss_names],
            with_labelled_images=self.with_labelled_images,
        )
        self._build_metrics()

    def _build_metrics(self):
        """Creates the variables of all metrics, which Keras would do at the first step.

        Under a strategy Keras would take view 2 for labels; and a checkpoint can only
        be restored into variables that are there.
        """
        shape = self.projector.compute_output_shape((1, self.encoder.feature_dim))
        with keras.StatelessScope():
            self.compute_metrics(None, ops.zeros(shape), ops.zeros(shape))

    @property
    def calibrator_variables(self) -> list[keras.Variable]:
        """The trainable variables of the calibrator, if the model has one."""
        return []

    @property
    def optimized_variables(self) -> list[tuple[keras.Optimizer, list[keras.Variable]]]:
        """List of `(optimizer, variables)`, every trainable variable once."""
        if self.calibrator_optimizer is None:
            return [(self.optimizer, self.trainable_variables)]
        calibrator = {id(v) for v in self.calibrator_variables}
        rest = [v for v in self.trainable_variables if id(v) not in calibrator]
        return [
            (self.optimizer, rest),
            (self.calibrator_optimizer, self.calibrator_variables),
        ]

    def finish_further_optimizers(self) -> None:
        """Gives variables their averages, as Keras does for the first optimizer.

        At the end of training, of optimizers with `use_ema=True`.
        """
        for optimizer, variables in self.optimized_variables[1:]:
            optimizer.finalize_variable_values(variables)

    @property
    def metrics(self) -> list[keras.Metric]:
        """The tracked losses first; Keras's own loss tracker is not used."""
        # Keras asks before the constructor, or `compile`, has run to its end.
        trackers = list(getattr(self, "loss_trackers", {}).values())
        for name in ("embedding_std", "skipped_updates"):
            tracker = getattr(self, name, None)
            trackers += [] if tracker is None else [tracker]
        # By name, since Keras keeps those of an earlier `compile` as well.
        own = {"loss", *(tracker.name for tracker in trackers)}
        return trackers + [m for m in super().metrics if m.name not in own]

    @overrides(keras.Model, "_maybe_symbolic_build")
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: all is built by now.

        Keras would draw a batch to build with, which ends an epoch of the data, and
        under `MultiWorkerMirroredStrategy` fails on any batch that is a tuple.
        """

    def make_train_function(self, force: bool = False) -> Any:
        """The compiled step of `fit`: by XLA, or without where XLA is not able to."""
        if self.train_function is not None and not force:
            return self.train_function
        xla.make_train_function(self, super().make_train_function)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """The step of `evaluate`, not by XLA, which may not compile an augmentation."""
        jit_compile, self.jit_compile = self.jit_compile, False
        super().make_test_function(force=force)
        self.jit_compile = jit_compile
        return self.test_function

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from one batch, of whose images `augmentation` makes views."""
        batch = self.with_views(data)
        if xla.compiles_on_views(self):
            # A new one each time: what it does may hang on more than its arguments.
            return tf.function(self.train_step_on_views, jit_compile=True)(batch)
        return self.train_step_on_views(batch)

    def with_views(self, data: Any) -> Any:
        """What a step is made of; a `Batch`."""
        return self.batch_of(data)

    def train_step_on_views(self, batch: Batch) -> dict[str, Any]:
        """One update from one `Batch`."""
        losses, embeddings, gradients, state = self._differentiate(batch)
        updates = self._updates(gradients)
        finite = self._finite_terms(batch, losses)
        if self.alternating:

            def calibrator(kept):
                _, _, gradients, _ = self._differentiate(batch)
                return self._apply(kept, self._updates(gradients)[1:])

            kept, applied = self._update(finite, updates[:1], state, calibrator)
        else:
            kept, applied = self._update(finite, updates, state)
        self._follow_update(applied)
        return self._update_metrics(losses, embeddings, kept)

    def _updates(self, gradients):
        """List of `(optimizer, gradients, variables)`, scaled for the optimizer."""
        return [
            (
                optimizer,
                self._scaled_for(optimizer, self._of(variables, gradients)),
                variables,
            )
            for optimizer, variables in self.optimized_variables
        ]

    def _of(self, variables, gradients):
        """The gradients of some variables, from those of all trainable ones."""
        trainable = (id(variable) for variable in self.trainable_variables)
        of_variable = dict(zip(trainable, gradients, strict=True))
        return [of_variable[id(variable)] for variable in variables]

    def _scaled_for(self, optimizer, gradients):
        """The gradients at the scale of their optimizer, not of the main one."""
        if optimizer is self.optimizer:
            return gradients
        factor = optimizer.scale_loss(1.0) / self.optimizer.scale_loss(1.0)
        return [gradient * ops.cast(factor, gradient.dtype) for gradient in gradients]

    def _update(self, finite, updates, state, then=None):
        """Applies gradients and takes over new state, if all is finite on all replicas.

        Args:
            finite: bool tensor, whether each of the watched terms is finite.
            updates: list of `(optimizer, gradients, variables)`.
            state: list of `(variable, value)`.
            then: function of whether that was kept, which makes the rest of the update
                and returns whether all was; `None` for no rest.

        Returns:
            Two bool scalar tensors: whether the update was kept, and whether the first
            optimizer made it, which may accumulate gradients first, or have found that
            their loss scale was too large.
        """
        before = _num_updates(updates[0][0])
        kept = self._apply(tf.reduce_all(finite), updates, state)
        applied = ops.not_equal(_num_updates(updates[0][0]), before)
        if then is not None:
            kept = then(kept)
        self.skipped_updates.update_state(finite, ~kept, num_replicas())
        return kept, applied

    def _apply(self, finite, updates, state=()):
        """What `_update` applies; returns whether it was kept, the same everywhere."""
        # Under loss scaling, gradients overflow now and then by design, and the
        # optimizer itself skips the update and lowers its scale. What is not finite at
        # a scale below 1 is no overflow of the scale's.
        unscaled = [g for o, part, _ in updates if not _scales(o) for g in part]
        if unscaled:
            finite &= _all_finite(unscaled)
        for optimizer, gradients, _ in updates:
            if _scales(optimizer):
                finite &= tf.cond(
                    optimizer.dynamic_scale >= 1,
                    lambda: True,
                    lambda gradients=gradients: _all_finite(gradients),
                )
        kept = all_replicas(finite)
        updates = [
            (optimizer, _overflown_together(optimizer, gradients), variables)
            for optimizer, gradients, variables in updates
        ]
        apply_if(kept, updates, state)
        return kept

    def _follow_update(self, applied):
        """What comes after an update, if it was applied: averages, and the count."""
        if self.updates is None:
            return
        if self.momentum_target is not None:
            self.momentum_target.update(self.updates, applied)
        self.updates.assign_add(ops.cast(applied, self.updates.dtype))

    def test_step(self, data: Any) -> dict[str, Any]:
        """The losses of one batch, in inference mode, without an update."""
        batch = self.batch_of(data)
        self.check_batch(batch)
        self.skipped_updates.look_at(first_two(batch.views))
        losses, embeddings = self.compute_losses(batch, training=False)
        losses = self.regularized(losses)
        return self._update_metrics(losses, embeddings, tf.constant(True))

    def value_and_gradients(
        self, *batch: Any
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The losses of a batch and their exact gradients; changes nothing.

        Args:
            *batch: view_1, view_2 and, for an objective that takes them, further
                views: float tensors `(batch, H, W, C)` in [0, 1]; or images and a
                seed, of which `augmentation` makes views; then, if the data bring
                tasks, their ids: int tensor `(batch,)`.

        Returns:
            `(losses, gradients)`: dict of scalar tensors including `"loss"`, and
            list of tensors aligned with `trainable_variables`.
        """
        losses, _, gradients, _ = self._differentiate(
            self.batch_of(as_tensors(batch)), scaled=False
        )
        return losses, gradients

    def regularized(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses whose `"loss"` holds the penalties of the weights' regularizers."""
        loss = losses["loss"]
        added = ops.cast(penalty(self.trainable_variables), loss.dtype)
        return {**losses, "loss": loss + added}

    def _differentiate(self, batch, *, scaled=True):
        """Losses, embeddings, gradients, and the state that a step leaves behind.

        `scaled` gradients are those the optimizer wants: of the loss times its loss
        scale, divided by the number of replicas, over which it sums.
        """
        self.check_batch(batch)
        variables = self.trainable_variables

        def loss_of(_):
            losses, embeddings = self.compute_losses(batch, training=True)
            losses = self.regularized(losses)
            loss = losses["loss"]
            if scaled:
                loss = self.optimizer.scale_loss(loss / num_replicas())
            return loss, losses, embeddings

        with keras.StatelessScope() as scope:
            (_, losses, embeddings), gradients = value_and_gradients(loss_of, variables)
        state = assigned(scope, self.non_trainable_variables)
        return losses, embeddings, gradients, state

    def _finite_terms(self, batch, losses):
        """Bool tensor: whether views are in [0, 1], and losses finite."""
        in_range = self.skipped_updates.look_at(first_two(batch.views))
        losses = [tf.cast(losses[name], "float64") for name in self.loss_names]
        return tf.stack(in_range + [tf.math.is_finite(loss) for loss in losses])

    def _update_metrics(self, losses, embeddings, finite):
        weight = tf.cast(finite, "float32")
        for name, tracker in self.loss_trackers.items():
            value = tf.cast(losses[name], "float32")
            tracker.update_state(tf.where(finite, value, 0.0), sample_weight=weight)
        self.embedding_std.update_state(embeddings[0], finite)
        logs = self._with_user_metrics(embeddings, finite)
        return reducible(logs, self.distribute_strategy)

    def _with_user_metrics(self, embeddings, finite):
        """The results of all metrics; the user's see embeddings that are `finite`."""
        embeddings_1, embeddings_2 = (ops.stop_gradient(z) for z in embeddings)

        def compute():
            return self.compute_metrics(None, embeddings_1, embeddings_2)

        if not self.names_of_metrics:
            return compute()
        return tf.cond(finite, compute, self.get_metrics_result)

    def get_compile_config(self) -> Config | None:
        """The arguments of `compile`, for a saved model to be compiled again."""
        config = super().get_compile_config()
        if config:
            if self.may_run_without_xla:
                # Keras keeps what this machine made of it.
                config["jit_compile"] = "auto"
            for name in self.further_optimizers:
                optimizer = getattr(self, name)
                config[name] = optimizer and keras.saving.serialize_keras_object(
                    optimizer
                )
        return config

    def compile_from_config(self, config: Config) -> None:
        """Compiles as `get_compile_config` described."""
        self.compile(**keras.saving.deserialize_keras_object(config))


def _scales(optimizer):
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _with_loss_scale(optimizer):
    if optimizer is None or _scales(optimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def _overflown_together(optimizer, gradients):
    """Gradients that are not finite on any replica if they are not on one.

    Keras's `LossScaleOptimizer` looks at the first replica alone, and would sum an
    overflow of another into the weights of all.
    """
    if num_replicas() == 1 or not _scales(optimizer):
        return gradients
    finite = all_replicas(_all_finite(gradients))
    first, *others = gradients
    return [tf.where(finite, first, tf.constant(float("nan"), first.dtype)), *others]


def _num_updates(optimizer):
    """How often an optimizer has changed its variables, as a tensor of now."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return tf.identity(ops.convert_to_tensor(optimizer.iterations))


def _all_finite(tensors):
    """Whether all elements of a list of tensors are finite.

    A sum of squares takes one operation a tensor, and is finite only if they all are.
    Where it is not, they may just be large, and each is looked at.
    """
    of_dtype = collections.defaultdict(list)
    for tensor in tensors:
        of_dtype[tensor.dtype].append(tf.nn.l2_loss(tensor))
    return tf.cond(
        tf.reduce_all([tf.math.is_finite(tf.add_n(s)) for s in of_dtype.values()]),
        lambda: True,
        lambda: tf.reduce_all([tf.reduce_all(tf.math.is_finite(t)) for t in tensors]),
    )
