"""The task calibrator: factors, weights, calibrated embeddings, regularizers."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, one_of
from keras_tc2.deprecation import old_method
from keras_tc2.layers.factor_extractor import FactorExtractor
from keras_tc2.layers.weight_extractor import WeightExtractor
from keras_tc2.precision import at_least_float32
from keras_tc2.representation import ShownLayer

# How the mix of factors W V enters the embedding z. All but "projection" are the
# identity while the weights are zero.
_COMBINATIONS = {
    "residual": lambda embeddings, mix: embeddings + mix,
    "projection": lambda embeddings, mix: mix,
    "gate": lambda embeddings, mix: embeddings * 2 * ops.sigmoid(mix),
}


@keras.saving.register_keras_serializable(package="keras_tc2")
class TaskCalibrator(ShownLayer):
    """Re-expresses each embedding by factors that all tasks share.

    V = f_v(Z) and W_j = f_w(z_j) Vᵀ, and the three regularizers, are published [1].
    The rest is the library's reading: W_j = f_w(z_j + e_s) Vᵀ with a learned
    embedding e_s of the task s of sample j, and how W V enters:

    - `"residual"`: ẑ = z + W V; starts as the identity.
    - `"projection"`: ẑ = W V, with f_w(z) = z + MLP(z).
    - `"gate"`: ẑ = z · 2 sigmoid(W V); starts as the identity.

    Args:
        num_tasks: int >= 1. M, the number of tasks in a batch.
        num_factors: int >= 1. K.
        factors_from_batch: bool. Whether V is made of the embeddings of each batch, or
            of parameters that all batches share (`FactorExtractor`).
        calibration: `"residual"`, `"projection"` or `"gate"`.
        nonnegative_weights: bool. Whether W passes a ReLU; only with
            `"projection"`, since the others start at W = 0.
        task_embedding: bool. Whether f_w sees e_s; it starts as normal noise of
            standard deviation 0.5.
        weights_per: `"sample"`: each sample has weights of its own. `"task"`: all of
            a task share those of the mean of its embeddings z̄_s,
            W_s = f_w(z̄_s + e_s) Vᵀ, near MetaCRL [2].
        hidden_dim: int >= 1, or `None` for the width of the embeddings. Hidden width
            of f_w. Defaults to `None`.

    Call arguments:
        embeddings: float tensor `(batch, dim)`.
        tasks: int tensor `(batch,)`, the task of each sample, in [0, num_tasks).

    Returns:
        Dict of `factors` `(num_factors, dim)`, `weights` `(batch, num_factors)`,
        `calibrated` `(batch, dim)`, and the scalars `reconstruction`,
        `orthogonality` and `sparsity`; all at least float32.

    Raises:
        ValueError: if an argument is out of its range, `nonnegative_weights` is asked
            for with a calibration that starts at W = 0, or `weights_per="task"` with
            one that would make all embeddings of a task the same.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2 as tc2

    calibrator = tc2.layers.TaskCalibrator(
        num_tasks=2,
        num_factors=8,
        factors_from_batch=True,
        calibration="residual",
        nonnegative_weights=False,
        task_embedding=True,
        weights_per="sample",
    )
    outputs = calibrator(keras.random.normal((4, 16)), np.array([0, 0, 1, 1]))
    print(outputs["calibrated"].shape)
    ```

    References:
        - [1] arXiv 2511.13787
        - [2] Wang et al., 2024, arXiv 2312.05771
    """

    CALIBRATIONS = tuple(_COMBINATIONS)
    WEIGHTS_PER = ("sample", "task")

    def __init__(
        self,
        num_tasks: int,
        *,
        num_factors: int,
        factors_from_batch: bool,
        calibration: str,
        nonnegative_weights: bool,
        task_embedding: bool,
        weights_per: str,
        hidden_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = integer("num_tasks", num_tasks)
        self.calibration = one_of("calibration", calibration, _COMBINATIONS)
        self.task_embedding = task_embedding
        self.weights_per = one_of("weights_per", weights_per, self.WEIGHTS_PER)
        projection = calibration == "projection"
        if nonnegative_weights and not projection:
            raise ValueError(
                "`nonnegative_weights=True` works only with "
                '`calibration="projection"`: the others start at W = 0, where a ReLU '
                f"passes no gradient. Received: calibration={calibration!r}"
            )
        if weights_per == "task" and projection:
            raise ValueError(
                '`weights_per="task"` does not go with `calibration="projection"`: '
                "all images of a task would have one calibrated embedding."
            )
        self.factor_extractor = FactorExtractor(
            num_factors,
            from_batch=factors_from_batch,
            dtype=self.dtype_policy,
            name="factor_extractor",
        )
        self.weight_extractor = WeightExtractor(
            hidden_dim=hidden_dim,
            residual=projection,
            nonnegative=nonnegative_weights,
            dtype=self.dtype_policy,
            name="weight_extractor",
        )

    def build(self, embeddings_shape: Shape, tasks_shape: Shape | None = None) -> None:
        """Builds f_v and f_w, and creates the task embeddings."""
        shape = (None, embeddings_shape[-1])
        self.factor_extractor.build(shape)
        self.weight_extractor.build(shape)
        if self.task_embedding:
            self.task_embeddings = self.add_weight(
                shape=(self.num_tasks, embeddings_shape[-1]),
                initializer=keras.initializers.RandomNormal(stddev=0.5),
                name="task_embeddings",
            )

    def factors(self, embeddings: Tensor) -> Tensor:
        """V = f_v(Z): `(batch, dim)` to `(num_factors, dim)`."""
        return self.factor_extractor(embeddings)

    def weights_on(self, factors: Tensor, embeddings: Tensor, tasks: Tensor) -> Tensor:
        """W = f_w(z + e_s) Vᵀ.

        Args:
            factors: float tensor `(num_factors, dim)`.
            embeddings: float tensor `(batch, dim)`; for weights per task, all of the
                task at once.
            tasks: int tensor `(batch,)`, or a scalar if all are of one task.

        Returns:
            Float tensor `(batch, num_factors)`.
        """
        embeddings = at_least_float32(embeddings)
        one_hot = ops.one_hot(tasks, self.num_tasks, dtype=embeddings.dtype)
        if self.weights_per == "task":
            embeddings = _means_of_tasks(embeddings, one_hot)
        if self.task_embedding:
            table = at_least_float32(self.task_embeddings)
            embeddings = embeddings + ops.dot(one_hot, table)
        return self.weight_extractor(embeddings, factors)

    def calibrate(self, factors: Tensor, embeddings: Tensor, tasks: Tensor) -> Tensor:
        """The calibrated embeddings ẑ; arguments as those of `weights_on`.

        Returns:
            Float tensor `(batch, dim)`.
        """
        weights = self.weights_on(factors, embeddings, tasks)
        return self._combine(at_least_float32(embeddings), weights, factors)

    def regularizers(
        self, factors: Tensor, embeddings: Tensor, weights: Tensor
    ) -> dict[str, Tensor]:
        """The three parts of L_tc2, as functions of f_v and f_w alone.

        reconstruction: ‖Z − Z VᵀV‖² / ‖Z‖², the share of the embeddings that the
        factors do not span (‖Z − W V‖² / ‖Z‖² for `"projection"`, where W V replaces
        Z). orthogonality: ‖V Vᵀ − I‖² / K. sparsity: mean |W|.

        Args:
            factors: float tensor `(num_factors, dim)`.
            embeddings: float tensor `(batch, dim)`; no gradient flows into it.
            weights: float tensor `(batch, num_factors)`.

        Returns:
            Dict of three scalar tensors.
        """
        embeddings = ops.stop_gradient(at_least_float32(embeddings))
        codes = weights
        if self.calibration != "projection":
            codes = ops.matmul(embeddings, ops.transpose(factors))
        residual = embeddings - ops.matmul(codes, factors)
        gram = ops.matmul(factors, ops.transpose(factors))
        num_factors = gram.shape[0]
        return {
            "reconstruction": ops.sum(ops.square(residual))
            / ops.maximum(ops.sum(ops.square(embeddings)), 1e-24),
            "orthogonality": ops.sum(
                ops.square(gram - ops.eye(num_factors, dtype=gram.dtype))
            )
            / num_factors,
            "sparsity": ops.mean(ops.abs(weights)),
        }

    regularisers = old_method("regularisers", "regularizers")

    def call(self, embeddings: Tensor, tasks: Tensor) -> dict[str, Tensor]:
        """Factors, weights, calibrated embeddings and regularizers at once."""
        factors = self.factors(embeddings)
        weights = self.weights_on(factors, embeddings, tasks)
        return {
            "factors": factors,
            "weights": weights,
            "calibrated": self._combine(at_least_float32(embeddings), weights, factors),
            **self.regularizers(factors, embeddings, weights),
        }

    def _combine(self, embeddings, weights, factors):
        mix = ops.matmul(weights, factors)
        return _COMBINATIONS[self.calibration](embeddings, mix)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_factors": self.factor_extractor.num_factors,
            "factors_from_batch": self.factor_extractor.from_batch,
            "calibration": self.calibration,
            "nonnegative_weights": self.weight_extractor.nonnegative,
            "task_embedding": self.task_embedding,
            "weights_per": self.weights_per,
            "hidden_dim": self.weight_extractor.hidden_dim,
        }


def _means_of_tasks(embeddings, one_hot):
    """For each row of `(batch, dim)` the mean of its task's rows.

    Args:
        one_hot: `(batch, num_tasks)`, or `(num_tasks,)` if all are of one task.
    """
    if one_hot.ndim == 1:
        mean = ops.mean(embeddings, axis=0, keepdims=True)
        return mean + ops.zeros_like(embeddings)
    sums = ops.matmul(ops.transpose(one_hot), embeddings)
    sizes = ops.maximum(ops.sum(one_hot, axis=0), 1)
    return ops.matmul(one_hot, sums / sizes[:, None])
