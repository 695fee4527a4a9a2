"""BYOL: a predictor foretells what a slow copy of the model gives; no negatives."""

from collections.abc import Callable
from typing import Any

import keras

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, optional
from keras_tc2.objectives.crossed_cosines import crossed_cosines
from keras_tc2.objectives.momentum_objective import MomentumObjective
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.predictor import make_predictor


def byol(
    predictions_1: Tensor, predictions_2: Tensor, targets_1: Tensor, targets_2: Tensor
) -> Tensor:
    """Squared distance of normalised predictions and targets, over crossed views.

    Equation 2 of [1], symmetrised as it says below, averaged over the batch:

        L = ‖q̄1 − z̄2‖² + ‖q̄2 − z̄1‖² = 4 − 2 cos(q1, z2) − 2 cos(q2, z1).

    Args:
        predictions_1: float tensor `(batch, dim)`, predictor output of view 1.
        predictions_2: float tensor `(batch, dim)`, of view 2.
        targets_1: float tensor `(batch, dim)`, the target network's embeddings of
            view 1; no gradient flows into them.
        targets_2: float tensor `(batch, dim)`, of view 2.

    Returns:
        Scalar tensor in [0, 8].

    Raises:
        ValueError: if the four are not of one shape.

    References:
        - [1] Grill et al., 2020, arXiv 2006.07733, equation 2
    """
    return 4 - 2 * crossed_cosines(predictions_1, predictions_2, targets_1, targets_2)


@keras.saving.register_keras_serializable(package="keras_tc2")
class BYOL(MomentumObjective):
    """Objective of BYOL [1]; see `byol`. Predictor and momentum target.

    Args:
        hidden_dim: int >= 1. Hidden width of the predictor; `None` for 16 times the
            embeddings, the ratio of [1]. Defaults to `None`.
        batch_normalization: bool. Whether the predictor's hidden layer is
            batch-normalised. Defaults to `True`.
        momentum: float in [0, 1], or a function of the step such as
            `optimizers.MomentumSchedule`: of the target network. [1] raises it from
            0.996 to 1 over the run. Defaults to `0.99`.
        gather: bool. Whether the predictor's batch statistics are those of all
            replicas. Defaults to `False`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    momentum = tc2.optimizers.MomentumSchedule(0.99, num_steps=1000)
    objective = tc2.objectives.BYOL(momentum=momentum)
    model = tc2.SSLPretrainer(encoder, objective=objective)
    ```

    References:
        - [1] Grill et al., 2020, arXiv 2006.07733
    """

    needs = Needs(target="momentum")

    def __init__(
        self,
        *,
        hidden_dim: int | None = None,
        batch_normalization: bool = True,
        momentum: float | Callable[[Tensor], Tensor] = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, **kwargs)
        self.hidden_dim = optional(integer, "hidden_dim", hidden_dim)
        self.batch_normalization = batch_normalization

    def make_head(self, embedding_dim: int, image_shape: Shape) -> keras.Layer | None:
        """The predictor."""
        return make_predictor(
            embedding_dim,
            hidden_dim=self.hidden_dim or 16 * embedding_dim,
            batch_normalization=self.batch_normalization,
            synchronized=self.gather,
        )

    def compute_loss(
        self, predictions_1: Tensor, predictions_2: Tensor, *, targets: Any
    ) -> Tensor:
        """`byol` of predictions and targets."""
        return byol(predictions_1, predictions_2, *targets)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "hidden_dim": self.hidden_dim,
            "batch_normalization": self.batch_normalization,
            **super().get_config(),
        }
