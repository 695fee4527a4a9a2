"""BiSSL: the stage between pre-training and fine-tuning that aligns the two."""

import dataclasses

import keras

from keras_tc2.bilevel import SOLVERS
from keras_tc2.checks import integer, non_negative, one_of, positive
from keras_tc2.encoders import Classifier
from keras_tc2.encoders.encoder_copy import copy_of
from keras_tc2.pretraining.bissl.downstream import Downstream, head_of
from keras_tc2.pretraining.bissl.phases import Phases
from keras_tc2.pretraining.bissl.steps import BiSSLSteps
from keras_tc2.pretraining.core.second_order import check_second_order

SECOND_ORDER_SOLVERS = ("conjugate_gradient", "neumann")


@keras.saving.register_keras_serializable(package="keras_tc2")
class BiSSLTrainer(BiSSLSteps):
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
            trains, or a stock normalisation layer would be differentiated twice.

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

    def __init__(
        self,
        encoder,
        projector,
        objective,
        downstream_head,
        *,
        warmup_steps=400,
        num_alternations=500,
        lower_steps=20,
        upper_steps=8,
        proximity_weight=0.001,
        damping=10.0,
        direct_weight=1.0,
        solver="conjugate_gradient",
        num_solver_iterations=5,
        tolerance=1e-6,
        per_tensor=False,
        max_gradient_norm=10.0,
        downstream_weight_decay=0.0,
        allow_inexact=False,
        augmentation=None,
        nonfinite_patience=0,
        **kwargs,
    ):
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
        self._steps_done, self._phase = 0, self.phases.phase(0)
        self._check_weights()
        self.built = True

    def _check_weights(self):
        """Raises `ValueError` for an encoder that BiSSL cannot train."""
        if not self.encoder.trainable_variables:
            raise ValueError(
                "No weight of the encoder is trainable. Set `encoder.trainable = True`."
            )
        if self.solver in SECOND_ORDER_SOLVERS:
            check_second_order(
                [self.encoder.network, self.projector, self.head],
                argument=f'solver="{self.solver}"',
                instead='solver="finite_difference"',
                allow_inexact=self.allow_inexact,
            )

    @classmethod
    def from_pretrainer(cls, pretrainer, downstream_head, *, objective=None, **kwargs):
        """The next stage after a pretrainer, with all that it has learned.

        Args:
            pretrainer: `SSLPretrainer` or `TC2Pretrainer`. Encoder and projector are
                shared with it; the objective's head, the momentum target and the
                normalisation of targets are copied.
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
        if model.updates is not None:
            model.updates.assign(pretrainer.updates)
        return model

    @property
    def num_steps(self):
        """Steps of a whole run: the warm-up and all alternations."""
        return self.phases.num_steps

    def classifier(self, *, classes=None):
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

    # What saving needs.

    def get_config(self):
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
