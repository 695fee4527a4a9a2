"""VICReg: variance, invariance and covariance regularisation; no negatives."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import non_negative
from keras_tc2.objectives.inputs import check_alike, check_number
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.precision import at_least_float32


def vicreg(
    embeddings_1: Tensor,
    embeddings_2: Tensor,
    *,
    invariance_weight: float,
    variance_weight: float,
    covariance_weight: float,
) -> Tensor:
    """Pulls views together while every dimension keeps its spread and its meaning.

    Equation 6 of [1], in the normalisation of the authors' code, which gave their
    results: the invariance is a mean over dimensions too (equation 5 sums them), and
    the two views' variance terms are averaged, not added:

        invariance = mean (z1 − z2)²
        variance   = ½ sum_v mean_k max(0, 1 − sqrt(var(z_v)_k + 1e-4))
        covariance = sum_v sum_{k != l} cov(z_v)_kl² / dim

    Variances and covariances are unbiased (divided by batch − 1).

    Args:
        embeddings_1: float tensor `(batch, dim)`, view 1; batch at least 2.
        embeddings_2: float tensor `(batch, dim)`, view 2, in the same order.
        invariance_weight: float >= 0. Weight of the squared distance of the views.
        variance_weight: float >= 0. Weight of the hinge on standard deviations.
        covariance_weight: float >= 0. Weight of the squared covariances.

    Returns:
        Scalar tensor.

    Raises:
        ValueError: if the views are not of one shape, or of fewer than two images.

    References:
        - [1] Bardes et al., 2022, arXiv 2105.04906, equations 1 to 6
    """
    check_alike(
        {"embeddings_1": embeddings_1, "embeddings_2": embeddings_2}, min_batch_size=2
    )
    check_number("invariance_weight", invariance_weight, non_negative)
    check_number("variance_weight", variance_weight, non_negative)
    check_number("covariance_weight", covariance_weight, non_negative)
    embeddings_1 = at_least_float32(embeddings_1)
    embeddings_2 = at_least_float32(embeddings_2)
    invariance = ops.mean(ops.square(embeddings_1 - embeddings_2))
    variance_1, covariance_1 = _spread(embeddings_1)
    variance_2, covariance_2 = _spread(embeddings_2)
    return (
        invariance_weight * invariance
        + variance_weight * (variance_1 + variance_2) / 2
        + covariance_weight * (covariance_1 + covariance_2)
    )


def _spread(embeddings):
    """The variance and the covariance term of one view."""
    batch_size = ops.cast(ops.shape(embeddings)[0], embeddings.dtype)
    dim = embeddings.shape[-1]
    centred = embeddings - ops.mean(embeddings, axis=0, keepdims=True)
    covariance = ops.matmul(ops.transpose(centred), centred) / (batch_size - 1)
    variances = ops.diagonal(covariance)
    hinge = ops.mean(ops.relu(1 - ops.sqrt(variances + 1e-4)))
    squares = ops.sum(ops.square(covariance)) - ops.sum(ops.square(variances))
    return hinge, squares / dim


@keras.saving.register_keras_serializable(package="keras_tc2")
class VICReg(Objective):
    """Non-contrastive objective of VICReg [1]; see `vicreg`.

    Args:
        invariance_weight: float >= 0. Defaults to `25.0`.
        variance_weight: float >= 0. Defaults to `25.0`.
        covariance_weight: float >= 0. Defaults to `1.0`.
        gather: bool. Whether batch statistics are those of all replicas. Defaults
            to `False`.

    Raises:
        ValueError: if a weight is negative or not finite.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    objective = tc2.objectives.VICReg(covariance_weight=0.5)
    embeddings = keras.random.normal((8, 16))
    print(float(objective(embeddings, embeddings)))
    ```

    References:
        - [1] Bardes et al., 2022, arXiv 2105.04906
    """

    needs = Needs(min_batch_size=2)

    def __init__(
        self,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.invariance_weight = non_negative("invariance_weight", invariance_weight)
        self.variance_weight = non_negative("variance_weight", variance_weight)
        self.covariance_weight = non_negative("covariance_weight", covariance_weight)

    def compute_loss(self, embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
        """`vicreg` of the embeddings."""
        return vicreg(
            embeddings_1,
            embeddings_2,
            invariance_weight=self.invariance_weight,
            variance_weight=self.variance_weight,
            covariance_weight=self.covariance_weight,
        )

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "invariance_weight": self.invariance_weight,
            "variance_weight": self.variance_weight,
            "covariance_weight": self.covariance_weight,
            **super().get_config(),
        }
