"""What every pretrainer shares: the networks around a loss of views, and `fit`."""

import inspect
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from keras_tc2 import objectives
from keras_tc2.annotations import Augmentation, Config, Tensor
from keras_tc2.checks import integer
from keras_tc2.data.pipeline.view_dataset import ViewStream
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.encoders import Encoder
from keras_tc2.layers import ProjectionHead
from keras_tc2.objectives.objective import AnyObjective
from keras_tc2.pretraining.core import run_data
from keras_tc2.pretraining.core.arguments import check_fit_arguments
from keras_tc2.pretraining.core.batch import (
    Batch,
    check_number_of_images,
    check_views,
    parts_of,
)
from keras_tc2.pretraining.core.device_views import DeviceViews
from keras_tc2.pretraining.core.forward import (
    Forward,
    group_sizes,
    map_groups,
    resize_to_fit,
)
from keras_tc2.pretraining.core.growth import WarnOfGrowth
from keras_tc2.pretraining.core.momentum_target import MomentumTarget
from keras_tc2.pretraining.core.nonfinite import StopOnNonFinite
from keras_tc2.pretraining.core.regularizers import check_no_activity_regularizer
from keras_tc2.pretraining.core.short_progress import ShortProgress
from keras_tc2.pretraining.core.training_step import TrainingStep
from keras_tc2.replicas import num_replicas


class Pretrainer(TrainingStep):
    """Base class: a `keras.Model` whose `fit` minimises a loss of views.

    A subclass sets `loss_names` and implements `compute_losses`. Everything else is
    here and in `TrainingStep`: what the objective needs, gradients, optimizers,
    metrics, mixed precision, distribution, and what happens to a loss that is not
    finite.

    Args:
        encoder: an `Encoder`.
        objective: an `Objective`, or the name of one.
        projector: a built or unbuilt Keras layer or model from features
            `(batch, features)` to embeddings `(batch, dim)`; `None` for
            `ProjectionHead()`.
        augmentation: as for `data.two_views`, of what `data.batches` gives, or
            `None` for ready views.
        nonfinite_patience: int >= 0. An update whose loss or gradient is NaN or
            infinite is skipped; after more than this number in a row `fit` stops.

    Raises:
        ValueError: if an argument is not of these kinds, or a layer regularizes its
            activity.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        objective: AnyObjective,
        projector: keras.Layer | None,
        augmentation: Augmentation | None,
        nonfinite_patience: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Where Keras looks whether there is one too.
        self.under_strategy = tf.distribute.has_strategy()
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
        check_no_activity_regularizer([encoder.network, self.projector, self.head])
        # Not a part that Keras tracks: it has no weights to save.
        self._device_views = DeviceViews(augmentation)
        self.nonfinite_patience = integer(
            "nonfinite_patience", nonfinite_patience, at_least=0
        )
        self.calibrator_optimizer = None
        # See `run_data.first_step`.
        self._steps_given: weakref.WeakKeyDictionary[ViewStream, int] = (
            weakref.WeakKeyDictionary()
        )

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

    @property
    def augmentation(self) -> Augmentation | None:
        """What makes views of images within the step; `None` where data bring them."""
        return self._device_views.augmentation

    # What a subclass gives.

    @property
    def loss_names(self) -> list[str]:
        """Names of the scalars of `compute_losses`, in the order of computation."""
        return ["loss"]

    def compute_losses(
        self, batch: Batch, *, training: bool = True
    ) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
        """The losses of a batch.

        Args:
            batch: `Batch`.
            training: bool. Defaults to `True`.

        Returns:
            `(losses, embeddings)`: dict of scalar tensors including `"loss"`, and
            the pair of embeddings `(batch, dim)` of the first two views.
        """
        raise TypeError(f"{type(self).__name__} must override `compute_losses`.")

    def check_batch(self, batch: Batch) -> None:
        """Raises `ValueError` early, if a `Batch` cannot be what the model needs."""
        check_views(
            batch.views,
            image_shape=self.encoder.image_shape,
            needs=self.objective.needs,
        )
        check_number_of_images(
            batch.views[0].shape[0], self.objective, num_replicas=num_replicas()
        )

    def check_data(self, data: Any) -> None:
        """Raises `ValueError` early, if data for `fit` cannot be what is needed."""
        run_data.check_images(
            data,
            self._device_views,
            num_replicas=self.distribute_strategy.num_replicas_in_sync,
        )

    # What a subclass uses.

    def batch_of(self, data: Any) -> Batch:
        """The `Batch` of what `fit`, `diagnose` and the like are given.

        Args:
            data: tuple of tensors, of views, which stay, or of images and their
                seed, of which `augmentation` makes views; perhaps with task ids.

        Raises:
            ValueError: if there are images and no augmentation, or the reverse, or
                the data are no batch.
        """
        return self._device_views.of(parts_of(data))

    def forward(self, views: Sequence[Tensor], *, training: bool) -> Forward:
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

    def call(self, views: Tensor, training: bool = False) -> Tensor:
        """Embeddings `(batch, dim)` of views `(B, H, W, C)`, or of raw integers."""
        views = self.encoder.as_views(views)
        return self.projector(
            self.encoder.encode(views, training=training), training=training
        )

    @unwrapped()
    def fit(
        self, x: Any = None, *args: Any, callbacks: Any = None, **kwargs: Any
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`, on batches of `(view_1, view_2[, task_ids])`.

        Or, with an `augmentation`, of `(images, seed[, task_ids])`.

        Several calls on what `data.two_views` made go on in it, `steps_per_epoch` or
        not: this model gets the batches that one call of as many steps would give.
        `initial_epoch` says which epoch comes first, in a new process too.

        With `callbacks.ResumableCheckpoint` it continues an interrupted run, and goes
        by the checkpoint alone. Under a `tf.distribute` strategy every replica is given
        all tasks of what `data.two_views` made. It warns, once, of an inner step that
        does harm and of factors that diverge. An epoch's line on the screen holds a
        short choice of numbers, `history` all;
        `callbacks=[keras.callbacks.ProgbarLogger()]` shows all. The loss holds what the
        regularizers of weights add, and not what layers add by `add_loss`.

        Raises:
            ValueError: without data, or for sample or class weights, or a validation
                split, which there is nothing to do with; or if views, of
                `validation_data` too, are out of [0, 1].
            FloatingPointError: if more than `nonfinite_patience` updates in a row
                had a NaN or infinite loss or gradient; with the step and the term.
            ReadingError: if an image of the data cannot be read.
        """
        arguments = inspect.signature(super().fit).bind(x, *args, **kwargs).arguments
        check_fit_arguments(arguments)
        self.check_data(x)
        self.check_data(arguments.get("validation_data"))
        if isinstance(x, tf.data.Dataset):
            arguments.setdefault("shuffle", False)
        members = list_of_callbacks(callbacks)
        checkpoint = next((c for c in members if hasattr(c, "resuming")), None)
        in_a_row = self.steps_per_execution
        start = run_data.first_step(arguments, self._steps_given, in_a_row)
        counter = run_data.CountSteps(arguments, start, self._steps_given)
        # First, so that other callbacks see what training ended with.
        first = [
            counter,
            keras.callbacks.LambdaCallback(
                on_train_end=lambda logs: self.finish_further_optimizers()
            ),
        ]
        guards = [StopOnNonFinite(self.nonfinite_patience, checkpoint), WarnOfGrowth()]
        # What is saved must be restored before another callback looks at it.
        members = sorted(members, key=lambda member: member is not checkpoint)
        progress = keras.callbacks.ProgbarLogger
        if not any(isinstance(member, progress) for member in members):
            # Last, so that it shows what the others measured.
            guards.append(ShortProgress())
        callbacks = [*first, *members, *guards]
        strategy = self.distribute_strategy
        if checkpoint is None:
            arguments = run_data.divided(
                arguments, strategy, start, steps_per_execution=in_a_row
            )
            return super().fit(**arguments, callbacks=callbacks)
        steps = run_data.steps_in_epoch(x, arguments.get("steps_per_epoch"), in_a_row)
        with checkpoint.resuming(
            self, steps_per_epoch=steps, data=run_data.describe(x)
        ) as done:
            start = done or steps * arguments.get("initial_epoch", 0)
            counter.done = start
            arguments["x"] = run_data.from_step(x, start, strategy)
            arguments["steps_per_epoch"] = steps
            arguments["initial_epoch"] = start // steps
            arguments = run_data.divided(
                arguments, strategy, steps_per_execution=in_a_row
            )
            return super().fit(**arguments, callbacks=callbacks)

    @unwrapped()
    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`, on batches as for `fit`.

        Under a `tf.distribute` strategy every replica is given all tasks of what
        `data.two_views` made, as in `fit`.

        Raises:
            ValueError: if the data cannot be what is needed, or if views, or labelled
                images, are out of [0, 1].
            ReadingError: if an image of the data cannot be read.
        """
        bound = inspect.signature(super().evaluate).bind(x, *args, **kwargs)
        # `fit` has seen to the data that it validates on.
        if not bound.arguments.get("kwargs"):
            self.check_data(x)
            arguments = run_data.divided(
                {
                    "validation_data": x,
                    "validation_steps": bound.arguments.get("steps"),
                },
                self.distribute_strategy,
                steps_per_execution=self.steps_per_execution,
            )
            bound.arguments["x"] = arguments["validation_data"]
            bound.arguments["steps"] = arguments["validation_steps"]
        results = super().evaluate(*bound.args, **bound.kwargs)
        self.skipped_updates.check_range("in the data of `evaluate`")
        return results

    # What saving needs.

    def get_config(self) -> Config:
        """The constructor arguments, encoder and projector included."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "objective": keras.saving.serialize_keras_object(self.objective),
            "projector": keras.saving.serialize_keras_object(self.projector),
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "nonfinite_patience": self.nonfinite_patience,
        }

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """The pretrainer that `get_config` described, with fresh weights."""
        return cls(
            **{
                key: keras.saving.deserialize_keras_object(value, custom_objects)
                if _is_serialized(value)
                else value
                for key, value in config.items()
            }
        )


def list_of_callbacks(callbacks):
    """What `fit` takes as `callbacks`, as a list.

    Of a `CallbackList` its members, which are given a list of their own: it has no
    method to add others.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return keras.tree.flatten(callbacks or [])


def _is_serialized(value):
    """Whether a value of a config is an object, or a list of objects, of Keras."""
    if isinstance(value, list):
        return any(_is_serialized(part) for part in value)
    return isinstance(value, dict) and "class_name" in value
