"""MoCo v3: contrast against the keys of a momentum encoder, within the batch."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, optional, positive
from keras_tc2.objectives.inputs import check_alike, check_number
from keras_tc2.objectives.momentum_objective import MomentumObjective
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.predictor import make_predictor
from keras_tc2.precision import l2_normalize


def moco_v3(
    queries_1: Tensor,
    queries_2: Tensor,
    keys_1: Tensor,
    keys_2: Tensor,
    *,
    temperature: float,
) -> Tensor:
    """Symmetric contrastive loss of queries on the keys of the other view.

    Algorithm 1 of [1]: ctr(q1, k2) + ctr(q2, k1), with

        ctr(q, k) = 2 t · mean_i −log( exp(q_i·k_i / t) / sum_j exp(q_i·k_j / t) )

    of normalised queries and keys; the factor 2 t makes gradients independent of the
    temperature t at first order.

    Args:
        queries_1: float tensor `(batch, dim)`, predictor output of view 1; not
            normalised. Batch at least 2.
        queries_2: float tensor `(batch, dim)`, of view 2.
        keys_1: float tensor `(batch, dim)`, the momentum encoder's embeddings of
            view 1; no gradient flows into them.
        keys_2: float tensor `(batch, dim)`, of view 2.
        temperature: float > 0. Softmax scale.

    Returns:
        Scalar tensor; `4 * temperature * log(batch)` when all keys are equal.

    Raises:
        ValueError: if the four are not of one shape, or of fewer than two images.

    References:
        - [1] Chen, Xie and He, 2021, arXiv 2104.02057, algorithm 1
    """
    check_alike(
        {
            "queries_1": queries_1,
            "queries_2": queries_2,
            "keys_1": keys_1,
            "keys_2": keys_2,
        },
        min_batch_size=2,
    )
    check_number("temperature", temperature)
    contrast = _contrast(queries_1, keys_2, temperature)
    contrast = contrast + _contrast(queries_2, keys_1, temperature)
    return 2 * temperature * contrast


def _contrast(queries, keys, temperature):
    queries = l2_normalize(queries)
    keys = l2_normalize(ops.stop_gradient(keys))
    logits = ops.matmul(queries, ops.transpose(keys)) / temperature
    positives = ops.sum(queries * keys, axis=-1) / temperature
    return ops.mean(ops.logsumexp(logits, axis=-1)) - ops.mean(positives)


@keras.saving.register_keras_serializable(package="keras_tc2")
class MoCoV3(MomentumObjective):
    """Contrastive objective of MoCo v3 [1]; see `moco_v3`.

    Predictor and momentum target; the keys of the batch are the negatives, without a
    queue.

    Args:
        temperature: float > 0. Softmax scale. Defaults to `0.2`.
        hidden_dim: int >= 1. Hidden width of the predictor; `None` for 16 times the
            embeddings, the ratio of [1]. Defaults to `None`.
        batch_normalization: bool. Whether the predictor's hidden layer is
            batch-normalised. Defaults to `True`.
        momentum: float in [0, 1], or a function of the step such as
            `optimizers.MomentumSchedule`: of the momentum encoder. Defaults to
            `0.99`.
        gather: bool. Whether the other replicas' keys are negatives too, and the
            predictor's batch statistics those of all replicas. Defaults to `False`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.SSLPretrainer(encoder, objective=tc2.objectives.MoCoV3())
    ```

    References:
        - [1] Chen, Xie and He, 2021, arXiv 2104.02057
    """

    needs = Needs(target="momentum", min_batch_size=2)

    def __init__(
        self,
        temperature: float = 0.2,
        *,
        hidden_dim: int | None = None,
        batch_normalization: bool = True,
        momentum: float | Callable[[Tensor], Tensor] = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, **kwargs)
        self.temperature = positive("temperature", temperature)
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
        self, queries_1: Tensor, queries_2: Tensor, *, targets: Any
    ) -> Tensor:
        """`moco_v3` of queries and keys."""
        return moco_v3(queries_1, queries_2, *targets, temperature=self.temperature)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "temperature": self.temperature,
            "hidden_dim": self.hidden_dim,
            "batch_normalization": self.batch_normalization,
            **super().get_config(),
        }
