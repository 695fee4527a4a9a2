"""What every pretrainer shares: the training step around a loss of views."""

import inspect

import keras
import tensorflow as tf
from keras import ops

from keras_tc2 import objectives
from keras_tc2.bilevel import value_and_gradients
from keras_tc2.checks import integer
from keras_tc2.encoders import Encoder
from keras_tc2.layers import ProjectionHead
from keras_tc2.pretraining import run_data
from keras_tc2.pretraining.batch import check_views, split_batch, unpack
from keras_tc2.pretraining.forward import (
    Forward,
    first_two,
    group_sizes,
    map_groups,
    resize_to_fit,
)
from keras_tc2.pretraining.momentum_target import MomentumTarget
from keras_tc2.pretraining.nonfinite import (
    SkippedUpdates,
    StopOnNonFinite,
    all_replicas,
    apply_if,
)
from keras_tc2.pretraining.saved_parts import load_pretrainer, save_parts
from keras_tc2.pretraining.workers import workers


class Pretrainer(keras.Model):
    """Base class: a `keras.Model` whose `fit` minimises a loss of views.

    A subclass sets `loss_names` and implements `compute_losses`. Everything else is
    here: what the objective needs, gradients, optimizers, metrics, mixed precision,
    distribution, and what happens to a loss that is not finite.

    Args:
        encoder: an `Encoder`.
        objective: an `Objective`, or the name of one.
        projector: a built or unbuilt Keras layer or model from features
            `(batch, features)` to embeddings `(batch, dim)`; `None` for
            `ProjectionHead()`.
        nonfinite_patience: int >= 0. An update whose loss or gradient is NaN or
            infinite is skipped; after more than this number in a row `fit` stops.

    Raises:
        ValueError: if an argument is not of these kinds.
    """

    def __init__(self, encoder, *, objective, projector, nonfinite_patience, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(encoder, Encoder):
            raise ValueError(
                "`encoder` must be a keras_tc2.Encoder. Make one with "
                "`keras_tc2.encoders.create(name, input_shape=...)`, or from any "
                "Keras model with `keras_tc2.Encoder.wrap(model)`. "
                f"Received: encoder={encoder!r}"
            )
        self.encoder = encoder
        self.objective = objectives.get(objective)
        self.projector = ProjectionHead() if projector is None else projector
        if not self.projector.built:
            self.projector.build((None, encoder.feature_dim))
        self._provide_for_objective()
        self.nonfinite_patience = integer(
            "nonfinite_patience", nonfinite_patience, at_least=0
        )
        self.calibrator_optimizer = None

    def _provide_for_objective(self):
        """Makes the head, the momentum target and the target normalisation."""
        objective, encoder = self.objective, self.encoder
        shape = self.projector.compute_output_shape((None, encoder.feature_dim))
        self.head = objective.make_head(shape[-1], encoder.image_shape)
        if self.head is not None and not self.head.built:
            self.head.build((None, shape[-1]))
        self.momentum_target = None
        if objective.needs.target == "momentum":
            network = [encoder.network, self.projector]
            if objective.needs.target_head:
                network.append(self.head)
            self.momentum_target = MomentumTarget(network, objective.momentum)
        self.target_normalization = objective.make_target_normalization()
        if self.target_normalization is not None:
            with_head = objective.needs.target_head and self.head is not None
            shape = self.head.compute_output_shape(shape) if with_head else shape
            self.target_normalization.build(shape)
        self.updates = None
        if objective.needs.masks_views or self.momentum_target is not None:
            self.updates = self.add_weight(
                shape=(),
                dtype="int64",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
                name="updates",
            )

    # What a subclass gives.

    @property
    def loss_names(self):
        """Names of the scalars of `compute_losses`, in the order of computation."""
        return ["loss"]

    def compute_losses(self, *batch, training=True):
        """The losses of a batch `(*views)` or `(*views, task_ids or None)`.

        Returns:
            `(losses, embeddings)`: dict of scalar tensors including `"loss"`, and
            the pair of embeddings `(batch, dim)` of the first two views.
        """
        raise TypeError(f"{type(self).__name__} must override `compute_losses`.")

    def check_batch(self, *batch):
        """Raises `ValueError` early, if a batch cannot be what the model needs."""
        views, _ = split_batch(batch)
        check_views(
            views, image_shape=self.encoder.image_shape, needs=self.objective.needs
        )

    # What a subclass uses.

    def forward(self, views, *, training):
        """Passes the views through encoder, projector and head, and makes targets.

        Args:
            views: tuple of float tensors `(batch, H, W, C)`. Local views that the
                encoder's fixed image size does not take are resized to it.
            training: bool.

        Returns:
            `Forward`.
        """
        groups = group_sizes(views)
        views = [resize_to_fit(view, self.encoder.image_shape) for view in views]
        targets = None
        if self.objective.needs.masks_views:
            views, targets = self.objective.mask_views(views, self.updates)
        features = map_groups(
            lambda x: self.encoder.encode(x, training=training), views, groups
        )
        embeddings = map_groups(
            lambda x: self.projector(x, training=training), features, groups
        )
        outputs = embeddings
        if self.head is not None:
            outputs = map_groups(
                lambda x: self.head(x, training=training), embeddings, groups
            )
        if targets is None:
            targets = self._targets(views, embeddings, outputs, training)
        return Forward(views, groups, features, embeddings, outputs, targets)

    def _targets(self, views, embeddings, outputs, training):
        """The targets of the first two views, without gradient; `None` for none."""
        needs = self.objective.needs
        if needs.target is None:
            return None
        if needs.target == "momentum":
            targets = map_groups(
                lambda x: self.momentum_target(x, training=training), views[:2], [2]
            )
        else:
            targets = (outputs if needs.target_head else embeddings)[:2]
        if self.target_normalization is not None:
            targets = map_groups(
                lambda x: self.target_normalization(x, training=training),
                targets,
                [2],
            )
        return self._detach_targets(targets)

    def _detach_targets(self, targets):
        return [ops.stop_gradient(target) for target in targets]

    # What Keras calls.

    def call(self, views, training=False):
        """Embeddings `(batch, dim)` of views `(B, H, W, C)`, float in [0, 1]."""
        return self.projector(
            self.encoder.encode(views, training=training), training=training
        )

    def compile(
        self,
        optimizer="adam",
        *,
        calibrator_optimizer=None,
        metrics=None,
        jit_compile=False,
        **kwargs,
    ):
        """Configures training, and builds every optimizer on its variables.

        Args:
            optimizer: Keras optimizer, or its name.
            calibrator_optimizer: Keras optimizer for the calibrator's variables
                alone, or `None` for one optimizer of all. Defaults to `None`.
            metrics: Keras metrics; each is given the embeddings of view 1 as
                `y_true` and those of view 2 as `y_pred`, so that
                `keras.metrics.CosineSimilarity()` tells how well the views agree.
            jit_compile: bool. Whether XLA compiles the step. Defaults to `False`,
                unlike in Keras: see the measurements in `benchmarks/`.
            **kwargs: `run_eagerly`, `steps_per_execution` and so on, as in
                `keras.Model.compile`.

        Raises:
            ValueError: if there is no calibrator to give an optimizer to.
        """
        calibrator = self.calibrator_variables
        if calibrator_optimizer is not None and not calibrator:
            raise ValueError(
                "`calibrator_optimizer` was given, but this model has no calibrator."
            )
        super().compile(
            optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, **kwargs
        )
        self.calibrator_optimizer = calibrator_optimizer and keras.optimizers.get(
            calibrator_optimizer
        )
        if self.calibrator_optimizer and isinstance(
            self.optimizer, keras.optimizers.LossScaleOptimizer
        ):
            self.calibrator_optimizer = _with_loss_scale(self.calibrator_optimizer)
        for part, variables in self.optimized_variables:
            part.build(variables)
        self.loss_trackers = {
            name: keras.metrics.Mean(name=name) for name in self.loss_names
        }
        self.skipped_updates = SkippedUpdates(["view_1", "view_2", *self.loss_names])
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
    def calibrator_variables(self):
        """The trainable variables of the calibrator, if the model has one."""
        return []

    @property
    def optimized_variables(self):
        """List of `(optimizer, variables)`, every trainable variable once."""
        if self.calibrator_optimizer is None:
            return [(self.optimizer, self.trainable_variables)]
        calibrator = {id(v) for v in self.calibrator_variables}
        rest = [v for v in self.trainable_variables if id(v) not in calibrator]
        return [
            (self.optimizer, rest),
            (self.calibrator_optimizer, self.calibrator_variables),
        ]

    @property
    def metrics(self):
        """The tracked losses first; Keras's own loss tracker is not used."""
        # Keras asks before the constructor, or `compile`, has run to its end.
        trackers = list(getattr(self, "loss_trackers", {}).values())
        skipped = getattr(self, "skipped_updates", None)
        # By name, since Keras keeps those of an earlier `compile` as well.
        own = {"loss", "skipped_updates", *getattr(self, "loss_trackers", {})}
        others = [metric for metric in super().metrics if metric.name not in own]
        return trackers + ([skipped] if skipped is not None else []) + others

    def fit(self, x=None, *args, callbacks=None, **kwargs):
        """As `keras.Model.fit`, on batches of `(view_1, view_2[, task_ids])`.

        With `callbacks.ResumableCheckpoint` it continues an interrupted run. Under a
        `tf.distribute` strategy every replica is given all tasks of what
        `data.two_views` made.

        Raises:
            FloatingPointError: if more than `nonfinite_patience` updates in a row
                had a NaN or infinite loss or gradient; with the step and the term.
        """
        arguments = inspect.signature(super().fit).bind(x, *args, **kwargs).arguments
        if isinstance(x, tf.data.Dataset):
            arguments.setdefault("shuffle", False)
        is_list = isinstance(callbacks, keras.callbacks.CallbackList)
        members = (
            callbacks.callbacks if is_list else keras.tree.flatten(callbacks or [])
        )
        checkpoint = next((c for c in members if hasattr(c, "resuming")), None)
        guard = StopOnNonFinite(self.nonfinite_patience, checkpoint)
        if is_list:
            callbacks.append(guard)
        else:
            # What is saved must be restored before another callback looks at it.
            members = sorted(members, key=lambda member: member is not checkpoint)
            callbacks = [*members, guard]
        strategy = self.distribute_strategy
        if checkpoint is None:
            arguments = run_data.divided(arguments, strategy)
            return super().fit(**arguments, callbacks=callbacks)
        steps = run_data.steps_in_epoch(
            x, arguments.get("steps_per_epoch"), self.steps_per_execution
        )
        with checkpoint.resuming(
            self, steps_per_epoch=steps, data=run_data.describe(x)
        ) as done:
            start = done or steps * arguments.get("initial_epoch", 0)
            arguments["x"] = run_data.from_step(x, start, strategy)
            arguments["steps_per_epoch"] = steps
            arguments["initial_epoch"] = start // steps
            arguments = run_data.divided(arguments, strategy)
            return super().fit(**arguments, callbacks=callbacks)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: all is built by now.

        Keras would draw a batch to build with, which ends an epoch of the data, and
        under `MultiWorkerMirroredStrategy` fails on any batch that is a tuple.
        """

    def train_step(self, data):
        """One update from one batch."""
        batch = unpack(data)
        losses, embeddings, gradients, state = self._differentiate(batch)
        of_variable = dict(
            zip((id(v) for v in self.trainable_variables), gradients, strict=True)
        )
        updates = [
            (optimizer, self._scaled_for(optimizer, of_variable, variables), variables)
            for optimizer, variables in self.optimized_variables
        ]
        finite = self._finite_terms(batch, losses)
        kept, gradients_finite = self._update(finite, updates, state)
        self._follow_update(kept, gradients_finite)
        return self._update_metrics(losses, embeddings, kept)

    def _scaled_for(self, optimizer, gradients, variables):
        """The gradients of variables, from those by id, at their optimizer's scale."""
        gradients = [gradients[id(variable)] for variable in variables]
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if optimizer is self.optimizer or not scales:
            return gradients
        factor = optimizer.dynamic_scale / self.optimizer.dynamic_scale
        return [gradient * ops.cast(factor, gradient.dtype) for gradient in gradients]

    def _update(self, finite, updates, state):
        """Applies gradients and takes over new state, if all is finite on all replicas.

        Args:
            finite: bool tensor, whether each of the watched terms is finite.
            updates: list of `(optimizer, gradients, variables)`.
            state: list of `(variable, value)`.

        Returns:
            Two bool scalar tensors: whether the update was kept, and whether the
            gradients of this replica are finite.
        """
        gradients_finite = _all_finite([g for _, part, _ in updates for g in part])
        # Under loss scaling, gradients overflow now and then by design, and the
        # optimizer itself skips the update and lowers its scale.
        scales_loss = isinstance(updates[0][0], keras.optimizers.LossScaleOptimizer)
        kept = all_replicas(tf.reduce_all(finite) & (gradients_finite | scales_loss))
        for variable, value in state:
            variable.assign(tf.where(kept, value, variable.value))
        apply_if(kept, updates)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        self.skipped_updates.update_state(finite, ~kept, replicas)
        return kept, gradients_finite

    def _follow_update(self, kept, gradients_finite):
        """What comes after an update, if it was applied: averages, and the count."""
        if self.updates is None:
            return
        applied = all_replicas(gradients_finite) & kept
        if self.momentum_target is not None:
            self.momentum_target.update(self.updates, applied)
        self.updates.assign_add(ops.cast(applied, self.updates.dtype))

    def test_step(self, data):
        """The losses of one batch, in inference mode, without an update."""
        batch = unpack(data)
        self.check_batch(*batch)
        losses, embeddings = self.compute_losses(*batch, training=False)
        return self._update_metrics(losses, embeddings, tf.constant(True))

    # The seam that `train_step` and the tests share.

    def value_and_gradients(self, *batch):
        """The losses of a batch and their exact gradients; changes nothing.

        Args:
            *batch: view_1, view_2 and, for an objective that takes them, further
                views: float tensors `(batch, H, W, C)` in [0, 1]; then, if the data
                bring tasks, their ids: int tensor `(batch,)`.

        Returns:
            `(losses, gradients)`: dict of scalar tensors including `"loss"`, and
            list of tensors aligned with `trainable_variables`.
        """
        batch = tuple(
            None if part is None else tf.convert_to_tensor(part) for part in batch
        )
        losses, _, gradients, _ = self._differentiate(batch, scaled=False)
        return losses, gradients

    def _differentiate(self, batch, *, scaled=True):
        """Losses, embeddings, gradients, and the state that a step leaves behind.

        `scaled` gradients are those the optimizer wants: of the loss times its loss
        scale, divided by the number of replicas, over which it sums.
        """
        self.check_batch(*batch)
        variables = self.trainable_variables

        def loss_of(_):
            losses, embeddings = self.compute_losses(*batch, training=True)
            loss = losses["loss"]
            if scaled:
                replicas = tf.distribute.get_replica_context().num_replicas_in_sync
                loss = self.optimizer.scale_loss(loss / replicas)
            return loss, losses, embeddings

        with keras.StatelessScope() as scope:
            (_, losses, embeddings), gradients = value_and_gradients(loss_of, variables)
        state = [(v, scope.get_current_value(v)) for v in self.non_trainable_variables]
        state = [(v, value) for v, value in state if value is not None]
        return losses, embeddings, gradients, state

    def _finite_terms(self, batch, losses):
        """Bool tensor: whether each of the views and the losses is finite."""
        views, _ = split_batch(batch)
        sums = [tf.reduce_sum(view) for view in first_two(views)]
        terms = sums + [losses[name] for name in self.loss_names]
        return tf.stack([tf.math.is_finite(tf.cast(term, "float64")) for term in terms])

    def _update_metrics(self, losses, embeddings, finite):
        weight = tf.cast(finite, "float32")
        for name, tracker in self.loss_trackers.items():
            value = tf.cast(losses[name], "float32")
            tracker.update_state(tf.where(finite, value, 0.0), sample_weight=weight)
        embeddings_1, embeddings_2 = (ops.stop_gradient(z) for z in embeddings)
        logs = self.compute_metrics(None, embeddings_1, embeddings_2)
        if workers(self.distribute_strategy)[0] > 1:
            # Keras averages the logs of several workers over their first axis.
            logs = {name: ops.reshape(value, (1,)) for name, value in logs.items()}
        return logs

    # What saving needs.

    def get_config(self):
        """The constructor arguments, encoder and projector included."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "objective": keras.saving.serialize_keras_object(self.objective),
            "projector": keras.saving.serialize_keras_object(self.projector),
            "nonfinite_patience": self.nonfinite_patience,
        }

    def save_pretrainer_parts(self, folder):
        """Writes all but the encoder and the optimizers; see `saved_parts`."""
        save_parts(self, folder)

    @classmethod
    def from_pretrained(cls, repo_id_or_folder, **arguments):
        """Loads encoder and pretrainer; see `saved_parts.load_pretrainer`."""
        return load_pretrainer(cls, repo_id_or_folder, **arguments)

    def get_compile_config(self):
        """The arguments of `compile`, for a saved model to be compiled again."""
        config = super().get_compile_config()
        if config:
            config["calibrator_optimizer"] = (
                self.calibrator_optimizer
                and keras.saving.serialize_keras_object(self.calibrator_optimizer)
            )
        return config

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` described."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The pretrainer that `get_config` described, with fresh weights."""
        config = {
            key: keras.saving.deserialize_keras_object(value, custom_objects)
            if isinstance(value, dict) and "class_name" in value
            else value
            for key, value in config.items()
        }
        return cls(**config)


def _with_loss_scale(optimizer):
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def _all_finite(tensors):
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(t)) for t in tensors])
