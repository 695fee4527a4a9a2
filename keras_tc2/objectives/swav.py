"""SwAV: each view foretells the other's assignment to prototypes."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, positive
from keras_tc2.objectives.cross_entropy import cross_view_entropy
from keras_tc2.objectives.inputs import (
    check_alike,
    check_number,
    check_views_of_targets,
)
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.objectives.prototypes import Prototypes
from keras_tc2.precision import at_least_float32


def sinkhorn(scores: Tensor, *, epsilon: float, num_iterations: int) -> Tensor:
    """Soft assignments of a batch to prototypes, each prototype used equally.

    The solution of equation 3 of [1] by the Sinkhorn-Knopp iterations of equation 5,

        Q = Diag(u) exp(C / ε) Diag(v),

    in the logarithm, so that no ε overflows.

    Args:
        scores: float tensor `(batch, prototypes)`.
        epsilon: float > 0. Smoothness ε of the assignments.
        num_iterations: int >= 1.

    Returns:
        Float tensor `(batch, prototypes)`, at least float32; its rows sum to 1, its
        columns nearly to `batch / prototypes`.

    References:
        - [1] Caron et al., 2020, arXiv 2006.09882, equations 3 and 5
    """
    check_alike({"scores": scores})
    check_number("epsilon", epsilon)
    check_number("num_iterations", num_iterations, integer)
    log_codes = at_least_float32(scores) / epsilon
    for _ in range(num_iterations):
        log_codes = log_codes - ops.logsumexp(log_codes, axis=0, keepdims=True)
        log_codes = log_codes - ops.logsumexp(log_codes, axis=1, keepdims=True)
    return ops.exp(log_codes)


def swav(
    scores: Tensor,
    target_scores: Tensor,
    *,
    temperature: float,
    epsilon: float,
    num_iterations: int,
) -> Tensor:
    """Cross-entropy of each view's prediction and another view's code.

    Equations 1 and 2 of [1], averaged over all pairs of a global view s, which gives
    the code, and another view t, global or local, which foretells it:

        l(z_t, q_s) = −sum_k q_s^(k) log softmax(z_t·c / temperature)^(k).

    Args:
        scores: list of float tensors `(batch, prototypes)`, cosines with the
            prototypes, one a view; the global views first. Batch at least 2: the
            codes of one image are uniform, whatever it is.
        target_scores: list of the scores, of the global views, that codes are made
            of by `sinkhorn`; no gradient flows into them.
        temperature: float > 0. Softmax scale of the predictions.
        epsilon: float > 0. See `sinkhorn`.
        num_iterations: int >= 1. See `sinkhorn`.

    Returns:
        Scalar tensor, nats.

    Raises:
        ValueError: if there are fewer than two views, or of fewer than two images, or
            not all are of one shape.

    References:
        - [1] Caron et al., 2020, arXiv 2006.09882, equations 1 to 5
    """
    check_views_of_targets(
        scores, target_scores, names=("scores", "target_scores"), min_batch_size=2
    )
    check_number("temperature", temperature)
    codes = [
        ops.stop_gradient(
            sinkhorn(target, epsilon=epsilon, num_iterations=num_iterations)
        )
        for target in target_scores
    ]
    log_predictions = [
        ops.log_softmax(at_least_float32(score) / temperature, axis=-1)
        for score in scores
    ]
    return cross_view_entropy(codes, log_predictions)


@keras.saving.register_keras_serializable(package="keras_tc2")
class SwAV(Objective):
    """Objective of SwAV [1]; see `swav`. Prototypes; two views or more.

    Codes are made of the model's own scores, without gradient, of all images that
    the loss is given: of the whole batch, or in TC² of one task, whose codes come
    from uncalibrated embeddings. Prototypes train from the first step; the code of [1]
    freezes them for about the first epoch.

    Args:
        num_prototypes: int >= 1. Defaults to `512`; [1] has 3000 for ImageNet.
        temperature: float > 0. Softmax scale of the predictions. Defaults to `0.1`.
        epsilon: float > 0. Smoothness of the codes. Defaults to `0.05`.
        num_iterations: int >= 1. Sinkhorn iterations. Defaults to `3`.
        gather: bool. Whether codes use the prototypes equally over all replicas.
            Defaults to `False`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    objective = tc2.objectives.SwAV(num_prototypes=64)
    model = tc2.SSLPretrainer(encoder, objective=objective)
    ```

    References:
        - [1] Caron et al., 2020, arXiv 2006.09882
    """

    needs = Needs(
        target="stop_gradient", target_head=True, max_views=None, min_batch_size=2
    )

    def __init__(
        self,
        num_prototypes: int = 512,
        *,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        num_iterations: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_prototypes = integer("num_prototypes", num_prototypes)
        self.temperature = positive("temperature", temperature)
        self.epsilon = positive("epsilon", epsilon)
        self.num_iterations = integer("num_iterations", num_iterations)

    def make_head(self, embedding_dim: int, image_shape: Shape) -> keras.Layer | None:
        """The prototypes."""
        return Prototypes(self.num_prototypes, name="prototypes")

    def compute_loss(self, *scores: Tensor, targets: Any) -> Tensor:
        """`swav` of the scores."""
        return swav(
            scores,
            targets,
            temperature=self.temperature,
            epsilon=self.epsilon,
            num_iterations=self.num_iterations,
        )

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "num_prototypes": self.num_prototypes,
            "temperature": self.temperature,
            "epsilon": self.epsilon,
            "num_iterations": self.num_iterations,
            **super().get_config(),
        }
