"""The factor-extraction network f_v: generative factors shared by all tasks."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer
from keras_tc2.precision import at_least_float32, l2_normalize
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class FactorExtractor(ShownLayer):
    """Extracts K factors V = f_v(Z) from all embeddings of a batch.

    That one network gives the factors of every task is published [1]; this form of
    it, attention of K learned queries over the batch, is the library's reading:

        V = row_normalise(Q + softmax(Q (Z A)ᵀ / √d) Z B O / d),

    with Z scaled to a root mean square of 1 over all its entries, since most objectives
    leave the length of embeddings free. Q starts orthogonal and O at zero, so the
    factors start as K fixed directions and what the batch adds to them is learned. The
    division by d keeps a step of Adam, which moves all d² entries of O together, small
    beside the unit rows of Q: without it a learning rate of 0.01 turned all factors
    into one in a single step, and the reconstruction to K² times the embeddings. The
    sum over the batch makes V the same whatever the order of its images.

    With `from_batch=False` the factors are V = row_normalise(Q), learned parameters
    that all batches share, as in MetaCRL [2] (which leaves their length free).

    Args:
        num_factors: int >= 1. K.
        from_batch: bool. Whether the embeddings of the batch take part in V. Defaults
            to `True`.

    Call arguments:
        embeddings: float tensor `(batch, dim)`, of all tasks; at least float32
            inside.

    Returns:
        Float tensor `(num_factors, dim)`, rows of unit length.

    Raises:
        ValueError: if `num_factors` is below one.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    extractor = tc2.layers.FactorExtractor(num_factors=8)
    factors = extractor(keras.random.normal((32, 16)))  # (8, 16)
    ```

    References:
        - [1] arXiv 2511.13787
        - [2] Wang et al., 2024, arXiv 2312.05771
    """

    def __init__(
        self, num_factors: int, *, from_batch: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_factors = integer("num_factors", num_factors)
        self.from_batch = from_batch

    def build(self, embeddings_shape: Shape) -> None:
        """Creates Q, and A, B and O, once the width d of the embeddings is known."""
        dim = embeddings_shape[-1]
        self.queries = self.add_weight(
            shape=(self.num_factors, dim), initializer="orthogonal", name="queries"
        )
        if not self.from_batch:
            return
        self.key_kernel = self.add_weight(
            shape=(dim, dim), initializer="glorot_uniform", name="key_kernel"
        )
        self.value_kernel = self.add_weight(
            shape=(dim, dim), initializer="glorot_uniform", name="value_kernel"
        )
        self.output_kernel = self.add_weight(
            shape=(dim, dim), initializer="zeros", name="output_kernel"
        )

    def call(self, embeddings: Tensor) -> Tensor:
        """The factors V."""
        if not self.from_batch:
            return l2_normalize(at_least_float32(self.queries))
        embeddings = at_least_float32(embeddings)
        mean_square = ops.mean(ops.square(embeddings))
        embeddings = embeddings * ops.rsqrt(ops.maximum(mean_square, 1e-24))
        dim = embeddings.shape[-1]
        queries, keys, values, output = (
            at_least_float32(kernel)
            for kernel in (
                self.queries,
                self.key_kernel,
                self.value_kernel,
                self.output_kernel,
            )
        )
        keys = ops.matmul(embeddings, keys)
        scores = ops.matmul(queries, ops.transpose(keys)) / dim**0.5
        # Attention first averages the embeddings, so the kernels meet K rows, not B.
        attended = ops.matmul(ops.softmax(scores, axis=-1), embeddings)
        update = ops.matmul(ops.matmul(attended, values), output) / dim
        return l2_normalize(queries + update)

    def compute_output_shape(self, embeddings_shape: Shape) -> Shape:
        """`(num_factors, dim)`."""
        return (self.num_factors, embeddings_shape[-1])

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "num_factors": self.num_factors,
            "from_batch": self.from_batch,
        }
