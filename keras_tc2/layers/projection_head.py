"""The projection head g, which maps features to the embeddings objectives act on."""

from typing import Any

import keras

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, optional
from keras_tc2.layers.batch_normalization import BatchNormalization
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class ProjectionHead(ShownLayer):
    """Multi-layer perceptron from `features` h to `embeddings` z, z = g(h).

    `num_layers − 1` hidden blocks of dense, batch normalisation and ReLU, then a
    dense output layer, as in section 3 of [1]. The batch normalisation is the
    twice-differentiable one, so that an inner step through the head is exact.

    Args:
        output_dim: int >= 1. Width d of the embeddings. Defaults to `64`.
        hidden_dim: int >= 1, or `None` for the width of the features. Defaults to
            `None`.
        num_layers: int >= 1. Dense layers; `1` is a linear head. Defaults to `2`.
        batch_normalization: bool. Whether hidden layers are batch-normalised.
            Defaults to `True`.
        synchronized: bool. Whether the statistics of the whole batch are those of
            all replicas under a `tf.distribute` strategy. Defaults to `False`.

    Call arguments:
        features: float tensor `(batch, features)`.
        training: bool. Whether to use the statistics of the batch.

    Returns:
        Float tensor `(batch, output_dim)`.

    Raises:
        ValueError: if a width or the number of layers is below one.

    Example:
    ```python
    import keras
    import keras_tc2 as tc2

    head = tc2.layers.ProjectionHead(output_dim=32, hidden_dim=128)
    embeddings = head(keras.random.normal((8, 64)))
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709
    """

    def __init__(
        self,
        output_dim: int = 64,
        *,
        hidden_dim: int | None = None,
        num_layers: int = 2,
        batch_normalization: bool = True,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_dim = integer("output_dim", output_dim)
        self.hidden_dim = optional(integer, "hidden_dim", hidden_dim)
        self.num_layers = integer("num_layers", num_layers)
        self.batch_normalization = batch_normalization
        self.synchronized = synchronized

    def build(self, features_shape: Shape) -> None:
        """Creates the blocks, once the width of the features is known."""
        hidden_dim = self.hidden_dim or features_shape[-1]
        shared = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.blocks = []
        for _ in range(self.num_layers - 1):
            # The bias would be cancelled by the mean that the normalisation takes.
            bias = not self.batch_normalization
            self.blocks.append(keras.layers.Dense(hidden_dim, use_bias=bias, **shared))
            if self.batch_normalization:
                self.blocks.append(
                    BatchNormalization(synchronized=self.synchronized, **shared)
                )
            self.blocks.append(keras.layers.ReLU(**shared))
        self.blocks.append(keras.layers.Dense(self.output_dim, **shared))
        shape = tuple(features_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """The embeddings."""
        x = features
        for block in self.blocks:
            if isinstance(block, BatchNormalization):
                x = block(x, training=training)
            else:
                x = block(x)
        return x

    def compute_output_shape(self, features_shape: Shape) -> Shape:
        """`(batch, output_dim)`."""
        return (*features_shape[:-1], self.output_dim)

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "hidden_dim": self.hidden_dim,
            "num_layers": self.num_layers,
            "batch_normalization": self.batch_normalization,
            "synchronized": self.synchronized,
        }
