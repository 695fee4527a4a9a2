"""The weight-extraction network f_w: each sample's own weights on the factors."""

from typing import Any

import keras
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, optional
from keras_tc2.precision import at_least_float32
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class WeightExtractor(ShownLayer):
    """Gives sample j its weights W_j = f_w(z_j) Vᵀ on the K factors.

    The product is published [1]; that f_w is a two-layer ReLU perceptron whose last
    layer starts at zero is the library's reading.

    Args:
        hidden_dim: int >= 1, or `None` for the width of the embeddings. Defaults to
            `None`.
        residual: bool. Whether f_w(z) = z + MLP(z), so that the weights start as the
            embedding's own products with the factors, or f_w(z) = MLP(z), so that
            they start at zero. Defaults to `False`.
        nonnegative: bool. Whether the weights pass a ReLU. Needs `residual=True`:
            weights that all start at zero would never receive a gradient.
            Defaults to `False`.

    Call arguments:
        embeddings: float tensor `(batch, dim)`.
        factors: float tensor `(num_factors, dim)`.

    Returns:
        Float tensor `(batch, num_factors)`, at least float32.

    Raises:
        ValueError: if `hidden_dim` is below one, or `nonnegative` is asked for
            without `residual`.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    extractor = tc2.layers.WeightExtractor(residual=True)
    weights = extractor(keras.random.normal((32, 16)), keras.random.normal((8, 16)))
    ```

    References:
        - [1] arXiv 2511.13787
    """

    def __init__(
        self,
        *,
        hidden_dim: int | None = None,
        residual: bool = False,
        nonnegative: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if nonnegative and not residual:
            raise ValueError(
                "`nonnegative=True` needs `residual=True`: without the residual the "
                "weights start at zero, where a ReLU passes no gradient, and would "
                "stay there. Received: nonnegative=True, residual=False"
            )
        self.hidden_dim = optional(integer, "hidden_dim", hidden_dim)
        self.residual = residual
        self.nonnegative = nonnegative

    def build(
        self, embeddings_shape: Shape, factors_shape: Shape | None = None
    ) -> None:
        """Creates the perceptron, once the width of the embeddings is known."""
        dim = embeddings_shape[-1]
        hidden_dim = self.hidden_dim or dim
        self.hidden = keras.layers.Dense(
            hidden_dim, activation="relu", dtype=self.dtype_policy, name="hidden"
        )
        self.output_layer = keras.layers.Dense(
            dim, kernel_initializer="zeros", dtype=self.dtype_policy, name="output"
        )
        self.hidden.build((None, dim))
        self.output_layer.build((None, hidden_dim))

    def call(self, embeddings: Tensor, factors: Tensor) -> Tensor:
        """The weights W."""
        embeddings = at_least_float32(embeddings)
        codes = at_least_float32(self.output_layer(self.hidden(embeddings)))
        if self.residual:
            codes = codes + embeddings
        weights = ops.matmul(codes, ops.transpose(at_least_float32(factors)))
        return ops.relu(weights) if self.nonnegative else weights

    def compute_output_shape(
        self, embeddings_shape: Shape, factors_shape: Shape
    ) -> Shape:
        """`(batch, num_factors)`."""
        return (embeddings_shape[0], factors_shape[0])

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "residual": self.residual,
            "nonnegative": self.nonnegative,
        }
