"""NT-Xent, the contrastive objective of SimCLR."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import positive
from keras_tc2.objectives.inputs import check_alike, check_number
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.precision import l2_normalize


def nt_xent(
    embeddings_1: Tensor, embeddings_2: Tensor, *, temperature: float
) -> Tensor:
    """Normalised temperature-scaled cross-entropy between two views.

    Each of the 2B embeddings must tell the other view of its image among the other
    2B − 1 embeddings: equation 1 of [1], averaged over both orders of every pair,

        l(i, j) = −log( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) ),

    with s the cosine similarity and t the temperature.

    Args:
        embeddings_1: float tensor `(batch, dim)`, view 1; not normalised. Batch at
            least 2.
        embeddings_2: float tensor `(batch, dim)`, view 2, in the same order.
        temperature: float > 0. Softmax scale.

    Returns:
        Scalar tensor, nats; `log(2 * batch - 1)` when all embeddings are equal.

    Raises:
        ValueError: if the views are not of one shape, or of fewer than two images.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    embeddings = keras.random.normal((8, 16))
    loss = tc2.objectives.nt_xent(embeddings, embeddings, temperature=0.2)
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709, equation 1
    """
    check_alike(
        {"embeddings_1": embeddings_1, "embeddings_2": embeddings_2}, min_batch_size=2
    )
    check_number("temperature", temperature)
    batch_size = ops.shape(embeddings_1)[0]
    both = ops.concatenate([embeddings_1, embeddings_2], axis=0)
    both = l2_normalize(both) / temperature**0.5
    logits = ops.matmul(both, ops.transpose(both))
    # A finite mask: exp underflows to 0 and no derivative meets inf - inf.
    others = logits - 1e9 * ops.eye(2 * batch_size, dtype=logits.dtype)
    positives = ops.sum(both[:batch_size] * both[batch_size:], axis=-1)
    return ops.mean(ops.logsumexp(others, axis=-1)) - ops.mean(positives)


@keras.saving.register_keras_serializable(package="keras_tc2")
class NTXent(Objective):
    """Contrastive objective of SimCLR [1]; see `nt_xent`.

    Args:
        temperature: float > 0. Softmax scale. Defaults to `0.2`.
        gather: bool. Whether the other replicas' embeddings are negatives too.
            Defaults to `False`.

    Raises:
        ValueError: if `temperature` is not a finite number above zero.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    objective = tc2.objectives.NTXent(temperature=0.5)
    embeddings = keras.random.normal((8, 16))
    print(float(objective(embeddings, embeddings)))
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709
    """

    needs = Needs(min_batch_size=2)

    def __init__(self, temperature: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = positive("temperature", temperature)

    def compute_loss(self, embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
        """`nt_xent` of the embeddings."""
        return nt_xent(embeddings_1, embeddings_2, temperature=self.temperature)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {"temperature": self.temperature, **super().get_config()}
