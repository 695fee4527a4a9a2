"""BiSSL: the stage between pre-training and fine-tuning that aligns the two."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Augmentation, Config, Tensor
from keras_tc2.bilevel.proximal import (
    SOLVERS,
    Hypergradient,
    proximal_hypergradient,
)
from keras_tc2.bilevel.tensor_lists import combine, norm, tensors_of
from keras_tc2.checks import integer, non_negative, one_of, positive
from keras_tc2.encoders import Classifier
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.encoder_copy import copy_of
from keras_tc2.objectives.objective import AnyObjective
from keras_tc2.pretraining.bissl import optimizers as bissl_optimizers
from keras_tc2.pretraining.bissl.downstream import Downstream, head_of, unpack
from keras_tc2.pretraining.bissl.phases import Phase, Phases
from keras_tc2.pretraining.bissl.progress import PhaseProgress
from keras_tc2.pretraining.core.batch import Batch, as_tensors
from keras_tc2.pretraining.core.forward import first_two
from keras_tc2.pretraining.core.mean_or_nan import MeanOrNaN
from keras_tc2.pretraining.core.pretrainer import Pretrainer, list_of_callbacks
from keras_tc2.pretraining.core.regularizers import check_no_regularizer, penalty
from keras_tc2.pretraining.core.second_order import check_second_order
from keras_tc2.pretraining.core.workers import reducible
from keras_tc2.replicas import num_replicas, sum_over_replicas

SECOND_ORDER_SOLVERS = ("conjugate_gradient", "neumann")


@keras.saving.register_keras_serializable(package="keras_tc2")
class BiSSLTrainer(Pretrainer):
    """Aligns a pre-trained encoder with one downstream task by bilevel optimisation.

    Between pre-training and fine-tuning [1]. The lower encoder θ_L, which is the
    encoder given and what is fine-tuned afterwards, goes on with the pretext objective
    G but stays near the upper encoder θ_U, a copy of it, which learns the task (F, the
    cross-entropy of the head φ_U):

        lower   min G(θ_L, φ_L) + (λ/2) ‖θ_L − θ_U‖²
        upper   min F(θ_L*(θ_U), φ_U) + γ F(θ_U, φ_U)

    The gradient for θ_U is x + γ ∇F(θ_U), where (I + H/(λ + δ)) x = ∇F(θ_L) and H is
    the Hessian of G, without the proximity term, in θ_L. It takes the loss and first
    gradient of a fresh batch of views once, and a Hessian-vector product an iteration.
    For φ_U it is ∇F(θ_L) + γ ∇F(θ_U).

    One step of training takes one batch of the data. The first `warmup_steps` train
    the head on the frozen encoder; then `lower_steps` and `upper_steps` alternate. An
    upper step uses the views of its batch for H, a lower step leaves the labelled
    images alone, a warm-up step the views. A whole run is `num_steps` steps; the
    phase is a function of the number of steps alone, which is saved, so
    `callbacks.ResumableCheckpoint` continues any of them.

    Logged are `head_loss` (warm-up), `lower_loss`, `upper_loss`, `cg_residual` (‖g − A
    x‖ / ‖g‖), `fallbacks` (upper steps of the epoch in which a guard put x = g),
    `encoder_distance` ‖θ_L − θ_U‖, and `phase` of the last step (0 warm-up, 1 lower,
    2 upper); NaN for what no step of the epoch has measured.

    Args:
        encoder: a pre-trained `Encoder`.
        projector: its pre-trained projector; Keras layer or model from features to
            embeddings, `None` for a new `ProjectionHead()`.
        objective: the `Objective` of pre-training, or the name of one. Momentum
            targets follow lower steps only; [1] has 0.9995 for BYOL's momentum.
        downstream_head: Keras layer or model from features to logits `(batch,
            classes)`, or the number of classes, for a linear one.
        warmup_steps: int >= 0. [1] takes 20 epochs of the labelled images; `400` is
            that for 5,120 images in batches of 256. Defaults to `400`.
        num_alternations: int >= 1. Sets the default learning rate schedules and
            `num_steps`. Defaults to `500`.
        lower_steps: int >= 1. In a row. Defaults to `20`.
        upper_steps: int >= 1. In a row. Defaults to `8`.
        proximity_weight: float > 0. λ. Defaults to `0.001`.
        damping: float >= 0. δ. Defaults to `10.0`.
        direct_weight: float >= 0. γ; the first version of [1] had 0.01. Defaults to
            `1.0`.
        solver: `"conjugate_gradient"`, `"neumann"`, `"finite_difference"` or
            `"identity"`; see `bilevel.proximal_hypergradient`. Defaults to
            `"conjugate_gradient"`.
        num_solver_iterations: int >= 1. Defaults to `5`.
        tolerance: float >= 0. Relative residual that is small enough. Defaults to
            `1e-6`.
        per_tensor: bool. Whether every tensor has step sizes of its own, as in the
            authors' code; that is not the conjugate gradient method and diverges on
            coupled problems. Defaults to `False`.
        max_gradient_norm: float > 0. Every update's gradient is scaled down to this
            global norm. Defaults to `10.0`.
        downstream_weight_decay: float >= 0. L2, added to the gradients of the warm-up
            and the upper level. Defaults to `0.0`.
        allow_inexact: bool. Whether to go on, with a warning in place of an error,
            when Hessian-vector products meet a layer whose second derivative
            TensorFlow gets wrong. Defaults to `False`.
        augmentation: as for `data.two_views` (a layer, `Views`, a list of M recipes),
            to make the views within the step, on its device, of what `data.batches`
            gives; `None` for data of ready views. Defaults to `None`.
        nonfinite_patience: int >= 0. How many updates in a row may be skipped
            because of a NaN or infinite loss or gradient before `fit` stops.
            Defaults to `0`.

    Raises:
        ValueError: if an argument is out of its range, no weight of the encoder
            trains, the downstream head has regularizers, or a stock normalisation layer
            would be differentiated twice.

    Example:
    ```python
    import numpy as np
    import tensorflow as tf
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), "uint8")
    labels = np.arange(64) % 10
    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.BiSSLTrainer(
        encoder, None, "nt_xent", 10,
        warmup_steps=2, num_alternations=2, lower_steps=2, upper_steps=1,
    )
    model.compile()
    views = tc2.data.two_views(images, batch_size=32)
    labelled = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    data = tf.data.Dataset.zip((views.repeat(), labelled.repeat()))
    model.fit(data, epochs=1, steps_per_epoch=model.num_steps)
    ```

    References:
        - [1] Zakarias et al., 2024, arXiv 2410.02387
    """

    with_labelled_images = True
    further_optimizers = ("upper_optimizer", "head_optimizer")

    def __init__(
        self,
        encoder: Encoder,
        projector: keras.Layer | None,
        objective: AnyObjective,
        downstream_head: keras.Layer | int,
        *,
        warmup_steps: int = 400,
        num_alternations: int = 500,
        lower_steps: int = 20,
        upper_steps: int = 8,
        proximity_weight: float = 0.001,
        damping: float = 10.0,
        direct_weight: float = 1.0,
        solver: str = "conjugate_gradient",
        num_solver_iterations: int = 5,
        tolerance: float = 1e-6,
        per_tensor: bool = False,
        max_gradient_norm: float = 10.0,
        downstream_weight_decay: float = 0.0,
        allow_inexact: bool = False,
        augmentation: Augmentation | None = None,
        nonfinite_patience: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            encoder,
            objective=objective,
            projector=projector,
            augmentation=augmentation,
            nonfinite_patience=nonfinite_patience,
            **kwargs,
        )
        self.phases = Phases(warmup_steps, num_alternations, lower_steps, upper_steps)
        self.proximity_weight = positive("proximity_weight", proximity_weight)
        self.damping = non_negative("damping", damping)
        self.direct_weight = non_negative("direct_weight", direct_weight)
        self.solver = one_of("solver", solver, SOLVERS)
        self.num_solver_iterations = integer(
            "num_solver_iterations", num_solver_iterations
        )
        self.tolerance = non_negative("tolerance", tolerance)
        self.per_tensor = per_tensor
        self.max_gradient_norm = positive("max_gradient_norm", max_gradient_norm)
        self.downstream_weight_decay = non_negative(
            "downstream_weight_decay", downstream_weight_decay
        )
        self.allow_inexact = allow_inexact
        self.upper_encoder = copy_of(encoder)
        self.downstream_head = head_of(downstream_head, encoder.feature_dim)
        self.downstream = Downstream(
            self.encoder,
            self.upper_encoder,
            self.downstream_head,
            direct_weight=direct_weight,
        )
        # Saved, and read when training begins: the phase is a function of it.
        self.step_count = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="step_count",
        )
        self._steps_done: int | None = None
        self._phase = self.phases.phase(0)
        self._check_weights()
        self.built = True

    def _check_weights(self):
        """Raises `ValueError` for an encoder that BiSSL cannot train."""
        if not self.encoder.trainable_variables:
            raise ValueError(
                "No weight of the encoder is trainable. Set `encoder.trainable = True`."
            )
        check_no_regularizer(self.downstream_head)
        if self.solver in SECOND_ORDER_SOLVERS:
            check_second_order(
                [self.encoder.network, self.projector, self.head],
                argument=f'solver="{self.solver}"',
                instead='solver="finite_difference"',
                allow_inexact=self.allow_inexact,
            )

    @classmethod
    def from_pretrainer(
        cls,
        pretrainer: Pretrainer,
        downstream_head: keras.Layer | int,
        *,
        objective: AnyObjective | None = None,
        **kwargs: Any,
    ) -> Self:
        """The next stage after a pretrainer, with all that it has learned.

        Args:
            pretrainer: `SSLPretrainer` or `TC2Pretrainer`. Encoder and projector are
                shared with it; the objective's head, the momentum target and the
                normalisation of targets are copied. A schedule of the momentum begins
                anew.
            downstream_head: as in the constructor.
            objective: `Objective` of the same kind with other arguments, such as
                another momentum; `None` for the pretrainer's own.
            **kwargs: further arguments of the constructor; the augmentation is the
                pretrainer's by default.

        Returns:
            `BiSSLTrainer`.
        """
        model = cls(
            pretrainer.encoder,
            pretrainer.projector,
            objective or pretrainer.objective,
            downstream_head,
            **{"augmentation": pretrainer.augmentation, **kwargs},
        )
        for name in ("head", "momentum_target", "target_normalization"):
            part = getattr(model, name)
            if part is not None:
                part.set_weights(getattr(pretrainer, name).get_weights())
        # The momentum goes by the updates of this stage, masks by those of both.
        if model.updates is not None and model.momentum_target is None:
            model.updates.assign(pretrainer.updates)
        return model

    @property
    def num_steps(self) -> int:
        """Steps of a whole run: the warm-up and all alternations."""
        return self.phases.num_steps

    def classifier(self, *, classes: Sequence[str | int] | None = None) -> Classifier:
        """The lower encoder with the head, to be fine-tuned, saved or published.

        Args:
            classes: sequence of what each logit stands for. Defaults to `None`.

        Returns:
            `keras_tc2.Classifier` of copies, which further training here leaves alone.
        """
        head = type(self.downstream_head).from_config(self.downstream_head.get_config())
        head.build((None, self.encoder.feature_dim))
        head.set_weights(self.downstream_head.get_weights())
        return Classifier(copy_of(self.encoder), head, classes=classes)

    # The variables of the two levels.

    @property
    def encoder_variables(self) -> tuple[list[keras.Variable], list[keras.Variable]]:
        """θ_L and θ_U: two lists of the encoders' trainable variables, aligned."""
        trained = {id(variable) for variable in self.encoder.trainable_variables}
        pairs = [
            (lower, upper)
            for lower, upper in zip(
                self.encoder.variables, self.upper_encoder.variables, strict=True
            )
            if id(lower) in trained
        ]
        return [lower for lower, _ in pairs], [upper for _, upper in pairs]

    @property
    def lower_variables(self) -> list[keras.Variable]:
        """θ_L and φ_L."""
        head = [] if self.head is None else self.head.trainable_variables
        return [
            *self.encoder_variables[0],
            *self.projector.trainable_variables,
            *head,
        ]

    @property
    def upper_variables(self) -> list[keras.Variable]:
        """θ_U and φ_U."""
        return [*self.encoder_variables[1], *self.downstream_head.trainable_variables]

    # Losses.

    @property
    def loss_names(self) -> list[str]:
        """One a phase."""
        return ["head_loss", "lower_loss", "upper_loss"]

    def compute_losses(
        self, batch: Batch, *, training: bool = True
    ) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
        """The lower loss with its proximity term, and the embeddings of two views."""
        objective, embeddings = self._objective(batch, training)
        proximity = self._squared_distance() * self.proximity_weight / 2
        loss = objective + ops.cast(proximity, objective.dtype)
        return {"loss": loss, "lower_loss": loss}, embeddings

    def _objective(self, batch, training):
        """G, penalties of weights included, and the embeddings of two views."""
        forward = self.forward(batch.views, training=training)
        loss = self.objective(*forward.outputs, targets=forward.targets)
        loss += ops.cast(penalty(self.lower_variables), loss.dtype)
        return loss, forward.first_two_embeddings

    def regularized(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses, which hold the penalties of the lower level."""
        return losses

    def _squared_distance(self):
        """‖θ_L − θ_U‖², θ_U without gradient."""
        return sum(
            ops.sum(ops.square(lower - ops.stop_gradient(upper)))
            for lower, upper in zip(*self.encoder_variables, strict=True)
        )

    def _finite_terms(self, batch, losses, images=None):
        """As the base class; the loss of another phase counts as finite.

        That of `images` out of [0, 1] does not.
        """
        if images is not None:
            fit = self._look_at_labelled(images)
            losses = {n: tf.where(fit, loss, math.nan) for n, loss in losses.items()}
        losses = {name: losses.get(name, 0.0) for name in self.loss_names}
        return super()._finite_terms(batch, losses)

    def _look_at_labelled(self, images):
        return self.skipped_updates.look_at_labelled(self.encoder.as_views(images))

    # Hypergradient.

    def hypergradient(
        self, views: Sequence[Tensor], images: Tensor, labels: Tensor
    ) -> Hypergradient:
        """The gradient of the upper loss; changes nothing.

        Args:
            views: tuple of float tensors `(batch, H, W, C)`, what H is taken of.
            images: `(batch, H, W, C)`, raw or float in [0, 1].
            labels: int tensor `(batch,)`.

        Returns:
            `bilevel.Hypergradient`, its gradients aligned with `upper_variables`; not
            clipped, and the sum over the replicas' shares.
        """
        batch = self.batch_of(as_tensors(views))
        labelled = tf.convert_to_tensor(images), tf.convert_to_tensor(labels)
        return self._hypergradient(batch, *labelled, scale=1.0)[0]

    def _hypergradient(self, batch, images, labels, *, scale):
        """`(hypergradient, state)`; `scale` is the loss scale of half precision."""
        self.check_batch(batch)
        self.downstream.check_batch(images, labels)
        lower, upper = self.encoder_variables
        loss, target, direct, in_head, state = self.downstream.gradients(
            images, labels, lower, upper, scale=scale / num_replicas()
        )

        target, direct, in_head = (
            [gradient / scale for gradient in sum_over_replicas(part)]
            for part in (target, direct, in_head)
        )

        def objective(weights):
            # Whatever the pass would do to state is dropped with the scope. Without
            # the loss scale, which would overflow in a second derivative.
            with keras.StatelessScope(list(zip(lower, weights, strict=True))):
                loss, _ = self._objective(batch, training=True)
            return loss / num_replicas()

        solution, residual, fallback = proximal_hypergradient(
            objective,
            lower,
            target,
            solver=self.solver,
            proximity=self.proximity_weight,
            damping=self.damping,
            num_iterations=self.num_solver_iterations,
            tolerance=self.tolerance,
            per_tensor=self.per_tensor,
            total=sum_over_replicas,
        )
        gradients = [*combine(solution, 1.0, direct), *in_head]
        return Hypergradient(gradients, loss, residual, fallback), state

    # Steps.

    def compile(
        self,
        optimizer: str | keras.Optimizer | None = None,
        *,
        upper_optimizer: str | keras.Optimizer | None = None,
        head_optimizer: str | keras.Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training, and builds every optimizer on its variables.

        Args:
            optimizer: Keras optimizer of the lower level, or its name; `None` for LARS
                at 1.0 with weight decay 1e-6, warmed up for 200 steps, then cosine to
                0.001 of that. Defaults to `None`.
            upper_optimizer: that of the upper level; `None` for SGD with momentum 0.9
                at 0.01, cosine to zero. Defaults to `None`.
            head_optimizer: that of the warm-up; `None` for SGD with momentum 0.9 at
                0.01. Defaults to `None`. Under `mixed_float16` all three get a
                `LossScaleOptimizer` around them, if they are none.
            **kwargs: `metrics`, `jit_compile`, `run_eagerly`, as in
                `Pretrainer.compile`.

        Raises:
            ValueError: if `steps_per_execution` is not 1: phases change between steps.
        """
        if kwargs.get("steps_per_execution", 1) != 1:
            raise ValueError(
                "`steps_per_execution` must be 1, since the phase changes between "
                f"steps. Received: {kwargs['steps_per_execution']}"
            )
        self.upper_optimizer = keras.optimizers.get(
            upper_optimizer or bissl_optimizers.upper_optimizer(self.phases)
        )
        self.head_optimizer = keras.optimizers.get(
            head_optimizer or bissl_optimizers.head_optimizer()
        )
        super().compile(
            optimizer or bissl_optimizers.lower_optimizer(self.phases), **kwargs
        )
        names = ("head_loss", "lower_loss", "upper_loss", "cg_residual")
        self.loss_trackers = {
            name: MeanOrNaN(name=name) for name in (*names, "encoder_distance")
        }
        self.loss_trackers["fallbacks"] = keras.metrics.Sum(name="fallbacks")

    @property
    def optimized_variables(self) -> list[tuple[keras.Optimizer, list[keras.Variable]]]:
        """`(optimizer, variables)` of lower level, upper level and warm-up."""
        return [
            (self.optimizer, self.lower_variables),
            (self.upper_optimizer, self.upper_variables),
            (self.head_optimizer, self.downstream_head.trainable_variables),
        ]

    def fit(
        self, x: Any = None, *args: Any, callbacks: Any = None, **kwargs: Any
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`, on batches of `((view_1, view_2), (images, labels))`.

        The progress bar tells the phase. Everything else is as in `Pretrainer.fit`.

        Raises:
            ValueError: if views or labelled images are out of [0, 1].
            FloatingPointError: if more than `nonfinite_patience` updates in a row
                had a NaN or infinite loss or gradient.
        """
        callbacks = [*list_of_callbacks(callbacks), PhaseProgress()]
        return super().fit(x, *args, callbacks=callbacks, **kwargs)

    def make_train_function(self, force: bool = False) -> None:
        """One compiled step for each phase: Python, which knows the phase, picks one.

        Replicas cannot communicate in a branch of a compiled function.
        """
        # A callback may restore the count when training begins, which is after this.
        self._steps_done = None
        if self.train_function is not None and not force:
            return
        functions = {}
        for phase in Phase:
            super().make_train_function(force=True)
            functions[phase] = self.train_function

        def train_function(iterator):
            if self._steps_done is None:
                self._steps_done = int(ops.convert_to_numpy(self.step_count))
            self._phase = self.phases.phase(self._steps_done)
            logs = functions[self._phase](iterator)
            self._steps_done += 1
            return logs

        self.train_function: Any = train_function

    def describe_last_step(self) -> str:
        """In words, the phase of the last step and how far it is."""
        return self.phases.describe((self._steps_done or 1) - 1)

    def with_views(self, data: Any) -> Any:
        """What a step is made of: a `Batch`, and `(images, labels)`."""
        views, images, labels = unpack(data)
        return self.batch_of(views), (images, labels)

    def train_step_on_views(self, batches: Any) -> dict[str, Any]:
        """One step of the present phase."""
        batch, (images, labels) = batches
        step = {
            Phase.WARM_UP: self._warm_up_step,
            Phase.LOWER: self._lower_step,
            Phase.UPPER: self._upper_step,
        }[self._phase]
        measured, kept, embeddings = step(batch, images, labels)
        self.step_count.assign_add(1)
        self._measure(measured, kept, embeddings)
        return reducible(self.get_metrics_result(), self.distribute_strategy)

    def _warm_up_step(self, batch, images, labels):
        self.downstream.check_batch(images, labels)
        scale = self.head_optimizer.scale_loss(1.0)
        loss, gradients, state = self.downstream.head_gradients(
            images, labels, scale=scale / num_replicas()
        )
        gradients = [g / scale for g in sum_over_replicas(gradients)]
        losses = {"head_loss": loss}
        variables = self.downstream_head.trainable_variables
        update = self._upper_update(self.head_optimizer, gradients, variables)
        finite = self._finite_terms(batch, losses, images)
        kept, _ = self._update(finite, [update], state)
        return losses, kept, None

    def _lower_step(self, batch, images, labels):
        losses, embeddings, gradients, state = self._differentiate(batch)
        variables = self.lower_variables
        gradients = self._of(variables, gradients)
        scale = self.optimizer.scale_loss(1.0)
        size = norm([g / scale for g in sum_over_replicas(gradients)])
        update = (self.optimizer, self._clipped(gradients, size), variables)
        kept, applied = self._update(self._finite_terms(batch, losses), [update], state)
        self._follow_update(applied)
        return {"lower_loss": losses["lower_loss"]}, kept, embeddings

    def _upper_step(self, batch, images, labels):
        scale = self.upper_optimizer.scale_loss(1.0)
        result, state = self._hypergradient(batch, images, labels, scale=scale)
        losses = {"upper_loss": result.outer_loss}
        update = self._upper_update(
            self.upper_optimizer, result.gradients, self.upper_variables
        )
        finite = self._finite_terms(batch, losses, images)
        kept, _ = self._update(finite, [update], state)
        # No guard can help where the loss scale overflowed.
        fallback = result.fallback & tf.math.is_finite(norm(result.gradients))
        fallbacks = tf.cast(fallback, "float32") / num_replicas()
        measured = {**losses, "cg_residual": result.residual, "fallbacks": fallbacks}
        return measured, kept, None

    def _upper_update(self, optimizer, gradients, variables):
        """What `apply_if` takes, from unscaled sums of gradients over the replicas."""
        gradients = self._clipped(gradients, norm(gradients))
        if self.downstream_weight_decay:
            gradients = combine(
                gradients, self.downstream_weight_decay, tensors_of(variables)
            )
        # The optimizer will sum over the replicas again, and divide by its scale.
        scale = optimizer.scale_loss(1.0)
        return optimizer, [g * scale / num_replicas() for g in gradients], variables

    def _clipped(self, gradients, size):
        """Gradients scaled down to `max_gradient_norm`, if their norm is above it."""
        factor = self.max_gradient_norm / tf.maximum(size, self.max_gradient_norm)
        return [gradient * factor for gradient in gradients]

    def test_step(self, data: Any) -> dict[str, Any]:
        """The losses of both levels, in inference mode, without an update."""
        batch, (images, labels) = self.with_views(data)
        self.check_batch(batch)
        self.downstream.check_batch(images, labels)
        self.skipped_updates.look_at(first_two(batch.views))
        self._look_at_labelled(images)
        losses, embeddings = self.compute_losses(batch, training=False)
        measured = {
            "lower_loss": losses["lower_loss"],
            "upper_loss": self.downstream.upper_loss(images, labels, training=False),
        }
        self._measure(measured, tf.constant(True), embeddings)
        return reducible(super().get_metrics_result(), self.distribute_strategy)

    def _measure(self, measured, kept, embeddings):
        """Tracks what a step has measured."""
        measured = {**measured, "encoder_distance": ops.sqrt(self._squared_distance())}
        for name, value in measured.items():
            value = tf.cast(value, "float32")
            weight = tf.cast(kept & ~tf.math.is_nan(value), "float32")
            value = tf.where(weight > 0, value, 0.0)
            self.loss_trackers[name].update_state(value, sample_weight=weight)
        if embeddings is not None:
            self.embedding_std.update_state(embeddings[0], kept)
            self._with_user_metrics(embeddings, kept)

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics, and the phase of the last step."""
        phase = tf.constant(float(self._phase))
        return {**super().get_metrics_result(), "phase": phase}

    # What saving needs.

    def get_config(self) -> Config:
        """The constructor arguments, encoder, projector and head included."""
        return {
            **super().get_config(),
            **dataclasses.asdict(self.phases),
            "downstream_head": keras.saving.serialize_keras_object(
                self.downstream_head
            ),
            "proximity_weight": self.proximity_weight,
            "damping": self.damping,
            "direct_weight": self.direct_weight,
            "solver": self.solver,
            "num_solver_iterations": self.num_solver_iterations,
            "tolerance": self.tolerance,
            "per_tensor": self.per_tensor,
            "max_gradient_norm": self.max_gradient_norm,
            "downstream_weight_decay": self.downstream_weight_decay,
            "allow_inexact": self.allow_inexact,
        }
