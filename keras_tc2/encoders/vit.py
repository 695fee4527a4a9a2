"""A plain vision transformer.

KerasCV's transformer backbone takes square colour images only and standardises them
with ImageNet's statistics, so this one is our own.
"""

import keras

from keras_tc2.annotations import Shape
from keras_tc2.encoders import arguments
from keras_tc2.encoders.registry import register

LARGEST_PATCH = 16
FEWEST_TOKENS = 49
MOST_TOKENS = 4096


@keras.saving.register_keras_serializable(package="keras_tc2")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each token of a sequence of fixed length.

    Call arguments:
        tokens: float tensor `(batch, tokens, dim)`.

    Returns:
        Float tensor `(batch, tokens, dim)`.

    Example:
    ```python
    import keras
    from keras_tc2.encoders.vit import PositionEmbedding

    tokens = PositionEmbedding()(keras.random.normal((2, 9, 4)))
    ```
    """

    def build(self, input_shape):
        """Makes one vector for each token."""
        self.embedding = self.add_weight(
            shape=(1, *input_shape[1:]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="embedding",
        )

    def call(self, tokens):
        """Adds the vectors."""
        return tokens + self.embedding


@keras.saving.register_keras_serializable(package="keras_tc2")
def gelu_tanh(x):
    """GELU by its tanh formula; converters to ONNX lack the exact one."""
    return keras.ops.gelu(x, approximate=True)


@register("vit_tiny")
def vit_tiny(
    input_shape: Shape,
    *,
    patch_size: int | None = None,
    dim: int = 192,
    depth: int = 12,
    num_heads: int = 3,
    dropout: float = 0.0,
) -> keras.Model:
    """ViT-Tiny: pre-norm transformer blocks over patches, as in [1].

    Without a class token: `create` averages the tokens. The size is that of [2],
    table 1.

    Args:
        input_shape: (height, width, channels).
        patch_size: int. Side of the square patches, a divisor of height and width.
            `None` chooses the largest up to 16 that gives at least 49 patches.
        dim: int. Width of the tokens, and the feature dimension.
        depth: int. Number of blocks.
        num_heads: int, a divisor of `dim`.
        dropout: float in [0, 1). Dropout after attention and after the MLP.

    Returns:
        `keras.Model`, float images to tokens `(batch, tokens, dim)`.

    References:
        - [1] Dosovitskiy et al., 2021, arXiv 2010.11929, equations 1 to 4
        - [2] Touvron et al., 2021, arXiv 2012.12877
    """
    arguments.bounded_integer("dim", dim, at_most=arguments.MAX_WIDTH)
    arguments.bounded_integer("depth", depth, at_most=arguments.MAX_DEPTH)
    arguments.bounded_integer("num_heads", num_heads, at_most=dim)
    arguments.fraction("dropout", dropout, at_least=0.0, at_most=0.99)
    if dim % num_heads:
        raise ValueError(
            f"`num_heads` must divide `dim`. Received: num_heads={num_heads}, dim={dim}"
        )
    patch_size = _patch_size(input_shape, patch_size)

    images = keras.Input(input_shape, name="images")
    x = keras.layers.Conv2D(dim, patch_size, strides=patch_size, name="patches")(images)
    x = keras.layers.Reshape((-1, dim), name="tokens")(x)
    x = PositionEmbedding(name="positions")(x)
    for i in range(1, depth + 1):
        x = _block(x, dim, num_heads, dropout, name=f"block{i}")
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="last_norm")(x)
    return keras.Model(images, x, name="vit_tiny_backbone")


def _block(x, dim, num_heads, dropout, name):
    y = keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = keras.layers.MultiHeadAttention(
        num_heads, dim // num_heads, name=f"{name}_attention"
    )(y, y)
    if dropout:
        y = keras.layers.Dropout(dropout, name=f"{name}_dropout1")(y)
    x = keras.layers.Add(name=f"{name}_add1")([x, y])
    y = keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = keras.layers.Dense(4 * dim, activation=gelu_tanh, name=f"{name}_mlp1")(y)
    y = keras.layers.Dense(dim, name=f"{name}_mlp2")(y)
    if dropout:
        y = keras.layers.Dropout(dropout, name=f"{name}_dropout2")(y)
    return keras.layers.Add(name=f"{name}_add2")([x, y])


def _patch_size(input_shape, patch_size):
    height, width, _ = input_shape

    def tokens(side):
        return (height // side) * (width // side)

    def divides(side):
        return height % side == 0 and width % side == 0

    if patch_size is None:
        sides = [side for side in range(1, LARGEST_PATCH + 1) if divides(side)]
        enough = [side for side in sides if tokens(side) >= FEWEST_TOKENS]
        patch_size = max(enough, default=1)
    arguments.bounded_integer("patch_size", patch_size, at_most=min(height, width))
    if not divides(patch_size):
        raise ValueError(
            f"`patch_size` must divide height and width. Received: "
            f"patch_size={patch_size}, input_shape={input_shape}"
        )
    if tokens(patch_size) > MOST_TOKENS:
        raise ValueError(
            f"Images of {height}x{width} in patches of {patch_size} give "
            f"{tokens(patch_size)} tokens; at most {MOST_TOKENS} are allowed. Give a "
            "larger `patch_size`, or resize the images to a size with more divisors."
        )
    return patch_size
