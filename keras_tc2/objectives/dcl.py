"""DCL, decoupled contrastive learning: NT-Xent without the positive below the line."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import positive
from keras_tc2.objectives.inputs import check_alike, check_number
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.precision import l2_normalize


def dcl(
    embeddings_1: Tensor,
    embeddings_2: Tensor,
    *,
    temperature: float,
    sigma: float | None = None,
) -> Tensor:
    """Decoupled contrastive loss of two views.

    Equation 6 of [1], averaged over images and views k:

        l_i^(k) = −w_i s(z_i1, z_i2) / t + log sum_{l, j != i} exp(s(z_ik, z_jl) / t),

    with s the cosine similarity and t the temperature: neither view of image i is
    among the negatives of i, so the gradient does not vanish where the positive
    already wins, and small batches suffice. Without `sigma` w_i = 1 (DCL); with it
    (DCLW, equation 7) images whose views disagree weigh more,

        w_i = 2 − exp(s(z_i1, z_i2) / σ) / mean_j exp(s(z_j1, z_j2) / σ).

    The gradient passes through w_i too, as in the authors' code.

    Args:
        embeddings_1: float tensor `(batch, dim)`, view 1; not normalised. Batch at
            least 2.
        embeddings_2: float tensor `(batch, dim)`, view 2, in the same order.
        temperature: float > 0. Softmax scale.
        sigma: float > 0 or `None`. σ of the weights.

    Returns:
        Scalar tensor; `log(2 * batch - 2)` when all embeddings are equal.

    Raises:
        ValueError: if the views are not of one shape, or of fewer than two images.

    References:
        - [1] Yeh et al., 2022, arXiv 2110.06848, equations 6 and 7
    """
    check_alike(
        {"embeddings_1": embeddings_1, "embeddings_2": embeddings_2}, min_batch_size=2
    )
    check_number("temperature", temperature)
    batch_size = ops.shape(embeddings_1)[0]
    first, second = l2_normalize(embeddings_1), l2_normalize(embeddings_2)
    similarities = ops.sum(first * second, axis=-1)
    positives = similarities / temperature
    if sigma is not None:
        check_number("sigma", sigma)
        shares = ops.softmax(similarities / sigma, axis=-1)
        positives = positives * (2 - ops.cast(batch_size, shares.dtype) * shares)
    both = ops.concatenate([first, second], axis=0)
    logits = ops.matmul(both, ops.transpose(both)) / temperature
    # A finite mask: exp underflows to 0 and no derivative meets inf - inf.
    own = ops.tile(ops.eye(batch_size, dtype=logits.dtype), (2, 2))
    negatives = ops.logsumexp(logits - 1e9 * own, axis=-1)
    return ops.mean(negatives) - ops.mean(positives)


@keras.saving.register_keras_serializable(package="keras_tc2")
class DCL(Objective):
    """Decoupled contrastive objective [1]; see `dcl`.

    Args:
        temperature: float > 0. Softmax scale. Defaults to `0.1`.
        sigma: float > 0 for the weighted form, DCLW (0.5 in [1]); `None` for DCL.
            Defaults to `None`.
        gather: bool. Whether the other replicas' embeddings are negatives too.
            Defaults to `False`.

    Raises:
        ValueError: if `temperature` or `sigma` is not a finite number above zero.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    objective = tc2.objectives.DCL(temperature=0.2)
    embeddings = keras.random.normal((8, 16))
    print(float(objective(embeddings, embeddings)))
    ```

    References:
        - [1] Yeh et al., 2022, arXiv 2110.06848
    """

    needs = Needs(min_batch_size=2)

    def __init__(
        self, temperature: float = 0.1, *, sigma: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.temperature = positive("temperature", temperature)
        self.sigma = sigma if sigma is None else positive("sigma", sigma)

    def compute_loss(self, embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
        """`dcl` of the embeddings."""
        return dcl(
            embeddings_1,
            embeddings_2,
            temperature=self.temperature,
            sigma=self.sigma,
        )

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "temperature": self.temperature,
            "sigma": self.sigma,
            **super().get_config(),
        }
