"""The decoder of masked-image reconstruction: from an embedding to pixels."""

import keras
from keras import ops

from keras_tc2.checks import integer
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class PatchDecoder(ShownLayer):
    """Draws an image, patch by patch, from one embedding.

    Every patch p is W₂ relu(W₁ z + e_p), with a learned vector e_p for its place: a
    light decoder, whose size hardly depends on that of the image.

    Args:
        image_shape: (height, width, channels).
        patch_size: int >= 1. Side of the square patches; those at the right and the
            lower edge are cut where it does not divide the image.
        hidden_dim: int >= 1.

    Call arguments:
        embeddings: float tensor `(batch, dim)`.

    Returns:
        Float tensor `(batch, height, width, channels)`.

    Raises:
        ValueError: if a size is below one.

    Example:
    ```python
    import keras
    from keras_tc2.objectives.patch_decoder import PatchDecoder

    decoder = PatchDecoder((8, 8, 1), patch_size=4, hidden_dim=32)
    images = decoder(keras.random.normal((2, 16)))
    ```
    """

    def __init__(self, image_shape, *, patch_size, hidden_dim, **kwargs):
        super().__init__(**kwargs)
        self.image_shape = tuple(integer("image_shape", side) for side in image_shape)
        self.patch_size = integer("patch_size", patch_size)
        self.hidden_dim = integer("hidden_dim", hidden_dim)

    def build(self, embeddings_shape):
        """Creates both kernels and the places, once the width is known."""
        height, width, channels = self.image_shape
        num_patches = -(-height // self.patch_size) * -(-width // self.patch_size)
        self.hidden = keras.layers.Dense(
            self.hidden_dim, use_bias=False, dtype=self.dtype_policy, name="hidden"
        )
        self.places = self.add_weight(
            shape=(num_patches, self.hidden_dim),
            initializer=keras.initializers.RandomNormal(stddev=0.5),
            name="places",
        )
        self.pixels = keras.layers.Dense(
            self.patch_size**2 * channels, dtype=self.dtype_policy, name="pixels"
        )
        self.hidden.build((None, embeddings_shape[-1]))
        self.pixels.build((None, num_patches, self.hidden_dim))

    def call(self, embeddings):
        """The images."""
        size, (height, width, channels) = self.patch_size, self.image_shape
        rows, columns = -(-height // size), -(-width // size)
        hidden = self.hidden(embeddings)[:, None, :] + self.places
        patches = self.pixels(ops.relu(hidden))
        patches = ops.reshape(patches, (-1, rows, columns, size, size, channels))
        images = ops.reshape(
            ops.transpose(patches, (0, 1, 3, 2, 4, 5)),
            (-1, rows * size, columns * size, channels),
        )
        return images[:, :height, :width]

    def compute_output_shape(self, embeddings_shape):
        """`(batch, height, width, channels)`."""
        return (embeddings_shape[0], *self.image_shape)

    def get_config(self):
        """The constructor arguments."""
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "patch_size": self.patch_size,
            "hidden_dim": self.hidden_dim,
        }
