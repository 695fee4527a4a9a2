"""SimSiam: BYOL without the slow copy; the stopped gradient alone is enough."""

from typing import Any

import keras

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, optional
from keras_tc2.objectives.crossed_cosines import crossed_cosines
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.objectives.predictor import make_predictor


def simsiam(
    predictions_1: Tensor, predictions_2: Tensor, targets_1: Tensor, targets_2: Tensor
) -> Tensor:
    """Negative cosine of predictions and targets, over crossed views.

    Equations 1 and 4 of [1], averaged over the batch:

        L = ½ D(p1, stopgrad(z2)) + ½ D(p2, stopgrad(z1)),    D = −cos.

    Args:
        predictions_1: float tensor `(batch, dim)`, predictor output of view 1.
        predictions_2: float tensor `(batch, dim)`, of view 2.
        targets_1: float tensor `(batch, dim)`, embeddings of view 1; no gradient
            flows into them.
        targets_2: float tensor `(batch, dim)`, of view 2.

    Returns:
        Scalar tensor in [−1, 1].

    Raises:
        ValueError: if the four are not of one shape.

    References:
        - [1] Chen and He, 2021, arXiv 2011.10566, equations 1 and 4
    """
    return -crossed_cosines(predictions_1, predictions_2, targets_1, targets_2) / 2


@keras.saving.register_keras_serializable(package="keras_tc2")
class SimSiam(Objective):
    """Objective of SimSiam [1]; see `simsiam`. Predictor and stopped gradient.

    In TC² the targets are the uncalibrated embeddings under the weights before the
    inner step.

    Args:
        hidden_dim: int >= 1. Hidden width of the predictor; `None` for a quarter of
            the embeddings, the bottleneck of [1]. Defaults to `None`.
        batch_normalization: bool. Whether the predictor's hidden layer is
            batch-normalised. Defaults to `True`.
        gather: bool. Whether the predictor's batch statistics are those of all
            replicas. Defaults to `False`.

    Raises:
        ValueError: if `hidden_dim` is below one.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.SSLPretrainer(encoder, objective=tc2.objectives.SimSiam())
    ```

    References:
        - [1] Chen and He, 2021, arXiv 2011.10566
    """

    needs = Needs(target="stop_gradient")

    def __init__(
        self,
        *,
        hidden_dim: int | None = None,
        batch_normalization: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = optional(integer, "hidden_dim", hidden_dim)
        self.batch_normalization = batch_normalization

    def make_head(self, embedding_dim: int, image_shape: Shape) -> keras.Layer | None:
        """The predictor."""
        return make_predictor(
            embedding_dim,
            hidden_dim=self.hidden_dim or max(1, embedding_dim // 4),
            batch_normalization=self.batch_normalization,
            synchronized=self.gather,
        )

    def compute_loss(
        self, predictions_1: Tensor, predictions_2: Tensor, *, targets: Any
    ) -> Tensor:
        """`simsiam` of predictions and targets."""
        return simsiam(predictions_1, predictions_2, *targets)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "hidden_dim": self.hidden_dim,
            "batch_normalization": self.batch_normalization,
            **super().get_config(),
        }
