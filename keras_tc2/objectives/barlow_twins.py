"""Barlow Twins: the cross-correlation of two views drawn to the identity."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import non_negative
from keras_tc2.objectives.inputs import check_alike, check_number
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.precision import at_least_float32


def barlow_twins(
    embeddings_1: Tensor, embeddings_2: Tensor, *, redundancy_weight: float
) -> Tensor:
    """Redundancy reduction between the dimensions of two views.

    Equation 1 of [1], with C the cross-correlation of equation 2,

        L = sum_i (1 − C_ii)² + redundancy_weight · sum_{i != j} C_ij²,

    each dimension of each view standardised over the batch with its biased variance
    plus 1e-5, as the batch normalisation of the authors' code does: at batch 2 or in
    a dead dimension it stays finite.

    Args:
        embeddings_1: float tensor `(batch, dim)`, view 1; batch at least 2.
        embeddings_2: float tensor `(batch, dim)`, view 2, in the same order.
        redundancy_weight: float >= 0. Weight of the squares off the diagonal.

    Returns:
        Scalar tensor; a sum over dimensions, so it grows with `dim`.

    Raises:
        ValueError: if the views are not of one shape, or of fewer than two images.

    References:
        - [1] Zbontar et al., 2021, arXiv 2103.03230, equations 1 and 2
    """
    check_alike(
        {"embeddings_1": embeddings_1, "embeddings_2": embeddings_2}, min_batch_size=2
    )
    check_number("redundancy_weight", redundancy_weight, non_negative)
    first, second = _standardise(embeddings_1), _standardise(embeddings_2)
    batch_size = ops.cast(ops.shape(first)[0], first.dtype)
    correlation = ops.matmul(ops.transpose(first), second) / batch_size
    diagonal = ops.diagonal(correlation)
    off_diagonal = ops.sum(ops.square(correlation)) - ops.sum(ops.square(diagonal))
    return ops.sum(ops.square(1 - diagonal)) + redundancy_weight * off_diagonal


def _standardise(embeddings):
    embeddings = at_least_float32(embeddings)
    centred = embeddings - ops.mean(embeddings, axis=0, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=0, keepdims=True)
    return centred * ops.rsqrt(variance + 1e-5)


@keras.saving.register_keras_serializable(package="keras_tc2")
class BarlowTwins(Objective):
    """Redundancy-reducing objective of Barlow Twins [1]; see `barlow_twins`.

    It is a sum over dimensions, with gradients many times those of a contrastive
    objective: in `TC2Pretrainer` take a smaller `inner_learning_rate`, such as 0.01.

    Args:
        redundancy_weight: float >= 0. λ of [1]. Defaults to `0.005`.
        gather: bool. Whether batch statistics are those of all replicas. Defaults
            to `False`.

    Raises:
        ValueError: if `redundancy_weight` is negative or not finite.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    objective = tc2.objectives.BarlowTwins(redundancy_weight=0.01)
    embeddings = keras.random.normal((8, 16))
    print(float(objective(embeddings, embeddings)))
    ```

    References:
        - [1] Zbontar et al., 2021, arXiv 2103.03230
    """

    needs = Needs(min_batch_size=2)

    def __init__(self, redundancy_weight: float = 0.005, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.redundancy_weight = non_negative("redundancy_weight", redundancy_weight)

    def compute_loss(self, embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
        """`barlow_twins` of the embeddings."""
        return barlow_twins(
            embeddings_1, embeddings_2, redundancy_weight=self.redundancy_weight
        )

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {"redundancy_weight": self.redundancy_weight, **super().get_config()}
