"""Task Conflict Calibration: the two-stage bi-level pretrainer."""

from typing import Any

import keras
from keras import ops

from keras_tc2 import bilevel
from keras_tc2.annotations import Augmentation, Config, Shape, Tensor
from keras_tc2.bilevel import TaskConflict
from keras_tc2.bilevel.task_assignment import TaskAssignment, get_task_assignment
from keras_tc2.checks import integer, non_negative, one_of, optional, positive
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.layers import FactorExtractor, TaskCalibrator, WeightExtractor
from keras_tc2.objectives.objective import AnyObjective
from keras_tc2.pretraining.core.batch import Batch
from keras_tc2.pretraining.core.pretrainer import Pretrainer
from keras_tc2.pretraining.core.run_data import check_blocks, check_number_of_blocks
from keras_tc2.pretraining.core.saved_parts import SavedPretrainer
from keras_tc2.pretraining.core.second_order import check_second_order
from keras_tc2.pretraining.tc2 import step
from keras_tc2.pretraining.tc2.diagnosis import conflict, diagnose
from keras_tc2.pretraining.tc2.inner_scope import SCOPES

# The calibrator's own, and going without one.
CALIBRATIONS = (*TaskCalibrator.CALIBRATIONS, "none")


@keras.saving.register_keras_serializable(package="keras_tc2")
class TC2Pretrainer(SavedPretrainer, Pretrainer):
    """Pre-trains an encoder with a base objective under Task Conflict Calibration.

    Each batch is split into M tasks. Stage 1, inner: fast weights adapt to each task
    s by the objective ℓ on its calibrated embeddings, θ_s = θ − α ∇ℓ(T_s; θ, φ).
    Stage 2, outer: the loss

        base_weight · ℓ(batch; θ)             calibrated by `calibrate_base` alone
        + transfer_weight · mean over (s, q) of ℓ(T_q; θ_s, φ)
        + reconstruction_weight · ‖Z − Z VᵀV‖² / ‖Z‖²
        + orthogonality_weight · ‖V Vᵀ − I‖² / K
        + sparsity_weight · mean |W|

    and its gradient, through the inner step, updates θ (encoder and projector) and φ
    (calibrator) together, or one after the other (`alternating`). What of this is
    published [1] and what is the library's reading is in a table of `docs/method.md`.
    With `transfer_weight=0` and `calibration="none"` it is `SSLPretrainer`.

    The defaults are not the whole method but its best established part, tasks that
    are clusters of similar images, without calibration (no W, V) and inner step
    (θ_s = θ). `**recipes.full_method()` gives all of it; `recipes` tells which runs
    speak for which setting.

    Args:
        encoder: an `Encoder`.
        objective: an `Objective`, or the name of one (`objectives.names()`).
        projector: Keras layer or model from features to embeddings, or `None` for
            `ProjectionHead()`. Defaults to `None`.
        augmentation: as for `data.two_views` (a layer, `Views`, a list of M recipes),
            to make the views within the step, on its device, of what `data.batches`
            gives; `None` for data of ready views. Defaults to `None`.
        num_tasks: int >= 2. M; must divide the batch, with two images or more a task.
            Defaults to `4`.
        num_factors: int >= 1. K. Defaults to `32`.
        factors_from_batch: bool. Whether f_v makes V of the embeddings of each batch,
            or V is learned parameters that all batches share, as in MetaCRL [2].
            Defaults to `True`.
        inner_learning_rate: float > 0. α. Defaults to `0.2`.
        inner_clipnorm: float > 0, or `None`. The norm, over all its weights, that the
            gradient of an inner step is clipped to, so that α fits objectives of any
            scale: contrastive ones, well below 1, are left as they are; without a
            bound the quartic covariance term of VICReg, or a loss times 100, throws
            the weights far away. Defaults to `1.0`.
        num_inner_steps: int >= 0. `0` for tasks without an inner step: what one task
            learns is not asked to serve another. Defaults to `0`.
        inner_scope: what the inner step adapts: `"projector"` (one encoder pass
            serves every task) or `"encoder"` (encoder and projector). Defaults to
            `"projector"`.
        inner_order: `2` for the exact hypergradient, `1` for first order. Defaults
            to `2`.
        pairing: `"ring"` (task s is judged on task s + 1 mod M) or `"all"` (on every
            other task). Defaults to `"ring"`.
        calibration: `"residual"`, `"projection"`, `"gate"` (see `TaskCalibrator`) or
            `"none"`. Defaults to `"none"`.
        calibrated_part: `"embeddings"`, or `"features"`: what of a sample, of the
            encoder's output before the projector, is calibrated and makes the factors,
            as in MetaCRL [2]; the encoder alone gives uncalibrated ones. Defaults to
            `"embeddings"`.
        nonnegative_weights: bool. Whether W passes a ReLU; only with
            `"projection"`. Defaults to `False`.
        task_embedding: bool. Whether the weights depend on the task. Defaults to
            `True`.
        weights_per: `"sample"`, or `"task"` for one W of all samples of a task, from
            the mean of their embeddings, near MetaCRL [2]; not with `"projection"`.
            Defaults to `"sample"`.
        calibrate_base: bool. Whether the base term too is of calibrated embeddings,
            with their tasks' W. Defaults to `False`.
        reconstruction_weight: float >= 0. Defaults to `1.0`.
        orthogonality_weight: float >= 0. Defaults to `1.0`.
        sparsity_weight: float >= 0. λ_s. Defaults to `0.01`.
        alternating: bool. Whether a step updates θ first, and then φ by its gradient at
            the new θ, for the price of two gradients, or both together. Defaults to
            `False`.
        base_weight: float >= 0. Defaults to `1.0`.
        transfer_weight: float >= 0. Defaults to `1.0`.
        task_assignment: `"blocks"`, `"cluster"`, `"given"`, or a
            `bilevel.TaskAssignment`. Defaults to `"cluster"`.
        log_task_gradient_cosine: bool. Whether `task_gradient_cosine`, the mean
            pairwise cosine of the tasks' inner gradients on the batch at hand, is a
            metric; only with an inner step. Mostly noise, so ask `conflict` before it
            is read as conflict. In `"encoder"` scope it costs the memory of all tasks
            at once, not of one. Defaults to `False`.
        allow_inexact: bool. Whether to go on, with a warning in place of an error,
            when second order meets a layer whose second derivative TensorFlow gets
            wrong. Defaults to `False`.
        nonfinite_patience: int >= 0. How many updates in a row may be skipped
            because of a NaN or infinite loss or gradient before `fit` stops.
            Defaults to `0`.

    Raises:
        ValueError: if an argument is out of its range, if `base_weight` and
            `transfer_weight` are both zero, or if second order meets a stock
            normalisation layer.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), "uint8")
    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.TC2Pretrainer(encoder, objective=tc2.objectives.NTXent())
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    recipes = tc2.augment.simclr_tasks(image_size=28, num_tasks=4, channels=1)
    views = tc2.data.two_views(images, batch_size=32, augmentation=recipes)
    model.fit(views, epochs=1)
    ```

    References:
        - [1] arXiv 2511.13787
        - [2] Wang et al., 2024, arXiv 2312.05771
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        objective: AnyObjective,
        projector: keras.Layer | None = None,
        augmentation: Augmentation | None = None,
        num_tasks: int = 4,
        num_factors: int = 32,
        factors_from_batch: bool = True,
        inner_learning_rate: float = 0.2,
        inner_clipnorm: float | None = 1.0,
        num_inner_steps: int = 0,
        inner_scope: str = "projector",
        inner_order: int = 2,
        pairing: str = "ring",
        calibration: str = "none",
        calibrated_part: str = "embeddings",
        nonnegative_weights: bool = False,
        task_embedding: bool = True,
        weights_per: str = "sample",
        calibrate_base: bool = False,
        reconstruction_weight: float = 1.0,
        orthogonality_weight: float = 1.0,
        sparsity_weight: float = 0.01,
        alternating: bool = False,
        base_weight: float = 1.0,
        transfer_weight: float = 1.0,
        task_assignment: str | TaskAssignment | type[TaskAssignment] = "cluster",
        log_task_gradient_cosine: bool = False,
        allow_inexact: bool = False,
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
        self.num_tasks = integer("num_tasks", num_tasks, at_least=2)
        self.num_factors = integer("num_factors", num_factors)
        self.factors_from_batch = factors_from_batch
        self.inner_learning_rate = positive("inner_learning_rate", inner_learning_rate)
        self.inner_clipnorm = optional(positive, "inner_clipnorm", inner_clipnorm)
        self.num_inner_steps = integer("num_inner_steps", num_inner_steps, at_least=0)
        self.inner_scope = one_of("inner_scope", inner_scope, SCOPES)
        self.inner_order = one_of("inner_order", inner_order, (1, 2))
        self.pairing = pairing
        self.partners = bilevel.partners(pairing, num_tasks)
        self.calibration = one_of("calibration", calibration, CALIBRATIONS)
        self.calibrated_part = one_of(
            "calibrated_part", calibrated_part, ("embeddings", "features")
        )
        self.nonnegative_weights = nonnegative_weights
        self.task_embedding = task_embedding
        self.weights_per = one_of(
            "weights_per", weights_per, TaskCalibrator.WEIGHTS_PER
        )
        self.calibrate_base = calibrate_base
        self.reconstruction_weight = non_negative(
            "reconstruction_weight", reconstruction_weight
        )
        self.orthogonality_weight = non_negative(
            "orthogonality_weight", orthogonality_weight
        )
        self.alternating = alternating
        self.sparsity_weight = non_negative("sparsity_weight", sparsity_weight)
        self.base_weight = non_negative("base_weight", base_weight)
        self.transfer_weight = non_negative("transfer_weight", transfer_weight)
        if base_weight == 0 and transfer_weight == 0:
            raise ValueError(
                "`base_weight` and `transfer_weight` are both 0: nothing would train "
                "the encoder."
            )
        self._check_calibration()
        self.task_assignment = get_task_assignment(task_assignment)
        if isinstance(self.task_assignment, bilevel.BlockAssignment):
            check_number_of_blocks(self._device_views.num_blocks, num_tasks)
        self.log_task_gradient_cosine = log_task_gradient_cosine
        if log_task_gradient_cosine and not (transfer_weight and num_inner_steps):
            raise ValueError(
                "`log_task_gradient_cosine=True` logs the gradients of the inner step, "
                "which this model does not make: give `num_inner_steps=1` and a "
                "`transfer_weight` above 0, or ask `conflict`, which needs no inner "
                f"step. Received: num_inner_steps={num_inner_steps}, transfer_weight="
                f"{transfer_weight}"
            )
        self.allow_inexact = allow_inexact
        self.calibrator = None
        if calibration != "none":
            self.calibrator = TaskCalibrator(
                num_tasks,
                num_factors=num_factors,
                factors_from_batch=factors_from_batch,
                calibration=calibration,
                nonnegative_weights=nonnegative_weights,
                task_embedding=task_embedding,
                weights_per=weights_per,
                name="calibrator",
            )
            shape: Shape = (None, encoder.feature_dim)
            if calibrated_part == "embeddings":
                shape = self.projector.compute_output_shape(shape)
            self.calibrator.build((None, shape[-1]), (None,))
        self.scope = SCOPES[inner_scope](self.encoder, self.projector, self.head)
        self._check_second_order()
        self.built = True

    def _check_calibration(self):
        """Raises `ValueError` for a way of calibrating where nothing is calibrated."""
        wanted = {
            "factors_from_batch=False": not self.factors_from_batch,
            'weights_per="task"': self.weights_per == "task",
            "calibrate_base=True": self.calibrate_base,
            "alternating=True": self.alternating,
            'calibrated_part="features"': self.calibrated_part == "features",
            "nonnegative_weights=True": self.nonnegative_weights,
            "task_embedding=False": not self.task_embedding,
        }
        asked = [f"`{argument}`" for argument, value in wanted.items() if value]
        if asked and self.calibration == "none":
            raise ValueError(
                f"{' and '.join(asked)} tell how to calibrate, so `calibration` must "
                f"be one of {TaskCalibrator.CALIBRATIONS}. Received: calibration='none'"
            )
        if self.calibrate_base and not self.base_weight:
            raise ValueError(
                "`calibrate_base=True` is about the base term, which `base_weight=0` "
                "leaves out. Leave out one of them."
            )

    @property
    def factor_extractor(self) -> FactorExtractor | None:
        """The factor-extraction network f_v; `None` without calibration."""
        return self.calibrator and self.calibrator.factor_extractor

    @property
    def weight_extractor(self) -> WeightExtractor | None:
        """The weight-extraction network f_w; `None` without calibration."""
        return self.calibrator and self.calibrator.weight_extractor

    @property
    def calibrator_variables(self) -> list[keras.Variable]:
        """φ, the trainable variables of the calibrator."""
        return self.calibrator.trainable_variables if self.calibrator else []

    @property
    def loss_names(self) -> list[str]:
        """The scalars of `compute_losses`; those of switched-off parts are absent."""
        names = ["base_loss"] if self.base_weight else []
        if self.transfer_weight:
            names += ["inner_loss"] if self.num_inner_steps else []
            names += ["outer_loss"]
        if self.calibrator:
            names += ["reconstruction", "orthogonality", "sparsity"]
        if self.log_task_gradient_cosine:
            names += ["task_gradient_cosine"]
        return [*names, "loss"]

    def check_batch(self, batch: Batch) -> None:
        """Raises `ValueError` if the batch cannot be split into the tasks."""
        super().check_batch(batch)
        batch_size = batch.views[0].shape[0]
        if batch_size % self.num_tasks:
            below = batch_size - batch_size % self.num_tasks
            nearest = [n for n in (below, below + self.num_tasks) if n > 0]
            raise ValueError(
                f"The batch size {batch_size} is not divisible by num_tasks="
                f"{self.num_tasks}. The nearest batch sizes that are: "
                f"{' and '.join(map(str, nearest))}."
            )
        at_least = max(2, self.objective.needs.min_batch_size)
        if batch_size < at_least * self.num_tasks:
            raise ValueError(
                f"Every task needs {at_least} images or more: a batch of {batch_size} "
                f"in {self.num_tasks} tasks leaves {batch_size // self.num_tasks}. Use "
                f"a batch of at least {at_least * self.num_tasks} images a replica, or "
                "fewer tasks."
            )

    compute_losses = step.compute_losses

    def diagnose(self, *batch: Any) -> dict[str, Tensor]:
        """What the tasks of a batch do to one another; changes nothing.

        With the order, statistics and targets of a training step, for every objective.

        Args:
            *batch: the views, and the task ids if the data bring tasks, as for
                `value_and_gradients`.

        Returns:
            Dict of tensors:

            - `gradient_cosines`: `(num_tasks, num_tasks)` in [−1, 1], of the gradients
              of the tasks by what an inner step adapts, whether the model makes one
              or not; below zero where a step that helps one task harms the other;
            - `transfer_gap`: scalar, mean of ℓ(T_q; θ_s) − ℓ(T_s; θ), with inner steps;
            - `weights`: W, `(views * batch, num_factors)`, with calibration; so are
            - `reconstruction`: scalar, the regulariser of that name;
            - `calibration_gain`: scalar, ℓ on the embeddings of a task minus ℓ on the
              calibrated ones, mean over tasks.

        The cosines of one batch are mostly noise; `conflict` frees them of it.
        """
        return diagnose(self, batch)

    def task_gradient_cosines(self, *batch: Any) -> Tensor:
        """The `gradient_cosines` of `diagnose`."""
        return self.diagnose(*batch)["gradient_cosines"]

    def conflict(
        self,
        batches: Any,
        *,
        num_bootstraps: int = 1000,
        level: float = 0.95,
        seed: int = 0,
    ) -> TaskConflict:
        """Whether the tasks conflict, from several batches; changes nothing.

        Of the gradients of the tasks by what an inner step adapts, whether the model
        makes one or not, with the order, statistics and targets of a training step.

        Args:
            batches: iterable of at least two batches of views, with task ids if the
                data bring tasks, such as `views.take(16)`; more narrow the interval.
                Clusters need four images or more a task.
            num_bootstraps: int >= 1, resamplings of the batches. Defaults to `1000`.
            level: float in [0, 1], coverage of the interval. Defaults to `0.95`.
            seed: int >= 0, of the resampling. Defaults to `0`.

        Returns:
            `bilevel.TaskConflict`; `print` gives it as a sentence.

        Raises:
            ValueError: if there are too few batches or images.
        """
        return conflict(
            self, batches, num_bootstraps=num_bootstraps, level=level, seed=seed
        )

    def _detach(self, embeddings):
        """Z̄: what the factors are made of takes no part in the hypergradient."""
        return ops.stop_gradient(embeddings)

    def check_data(self, data: Any) -> None:
        """Raises `ValueError` if views come in other blocks than the tasks are."""
        super().check_data(data)
        if isinstance(self.task_assignment, bilevel.BlockAssignment):
            check_blocks(
                data, self.num_tasks, self.distribute_strategy.num_replicas_in_sync
            )

    @property
    def inner_loop(self) -> dict[str, Any]:
        """The arguments of `bilevel.adapt`."""
        return {
            "learning_rate": self.inner_learning_rate,
            "num_steps": self.num_inner_steps,
            "order": self.inner_order,
            "clipnorm": self.inner_clipnorm,
        }

    def _check_second_order(self):
        if self.inner_order == 1 or not self.num_inner_steps:
            return
        check_second_order(
            self.scope.layers,
            argument="inner_order=2",
            instead="inner_order=1",
            allow_inexact=self.allow_inexact,
        )

    def get_config(self) -> Config:
        """The constructor arguments, encoder and projector included."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_factors": self.num_factors,
            "factors_from_batch": self.factors_from_batch,
            "inner_learning_rate": self.inner_learning_rate,
            "inner_clipnorm": self.inner_clipnorm,
            "num_inner_steps": self.num_inner_steps,
            "inner_scope": self.inner_scope,
            "inner_order": self.inner_order,
            "pairing": self.pairing,
            "calibration": self.calibration,
            "calibrated_part": self.calibrated_part,
            "nonnegative_weights": self.nonnegative_weights,
            "task_embedding": self.task_embedding,
            "weights_per": self.weights_per,
            "calibrate_base": self.calibrate_base,
            "reconstruction_weight": self.reconstruction_weight,
            "orthogonality_weight": self.orthogonality_weight,
            "sparsity_weight": self.sparsity_weight,
            "alternating": self.alternating,
            "base_weight": self.base_weight,
            "transfer_weight": self.transfer_weight,
            "task_assignment": keras.saving.serialize_keras_object(
                self.task_assignment
            ),
            "log_task_gradient_cosine": self.log_task_gradient_cosine,
            "allow_inexact": self.allow_inexact,
        }
