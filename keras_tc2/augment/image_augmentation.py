"""What every augmentation shares: the pure call, its seeds and the range of pixels."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.representation import ShownLayer


class ImageAugmentation(ShownLayer):
    """Base class of the batch-vectorised random image layers.

    A layer draws new parameters for every image of a batch. There are two ways to
    call it:

    - `layer.augment(images, seed)` is a pure function: the same images and seed give
      the same result eagerly, in a `tf.function` and in `tf.data`, however many calls
      run in parallel. Input pipelines use it.
    - `layer(images)` draws the next seed from the layer's own generator, which `seed`
      starts.

    Both always augment, whatever `training` is: leave the layer out of a model that
    predicts. A subclass implements `transform(images, seed)`.

    Args:
        seed: int or `None`. Starts the generator of `layer(images)`; `None` takes a
            random start. `augment` does not use it.
        **kwargs: `name` and the other arguments of `keras.layers.Layer`. Pixels are
            float32 whatever the dtype policy is.

    Call arguments:
        images: `(batch, height, width, channels)`, uint8 in [0, 255], uint16 in
            [0, 65535], or float, which must already be in [0, 1] (its values are not
            checked). Rank and number of channels must be known.

    Returns:
        Float32 tensor in [0, 1], `(batch, height, width, channels)`, where a subclass
        may change height and width.

    Raises:
        ValueError: if the images have not four axes, an unknown number of channels,
            or another dtype.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    class RandomInvert(augment.ImageAugmentation):
        def transform(self, images, seed):
            shape = (tf.shape(images)[0], 1, 1, 1)
            invert = tf.random.stateless_uniform(shape, seed) < 0.5
            return tf.where(invert, 1.0 - images, images)

    views = RandomInvert().augment(tf.zeros((8, 4, 4, 3)), seed=(0, 1))
    ```
    """

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def augment(self, images: Tensor, seed: Tensor) -> Tensor:
        """Augments `images` with the randomness of `seed` alone.

        Args:
            images: see the class.
            seed: integer tensor `(2,)`, or a pair of ints.

        Returns:
            Float32 tensor in [0, 1], as the class says.
        """
        return self.transform(to_unit_range(images), tf.convert_to_tensor(seed))

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Returns augmented images; `images` are float32 in [0, 1]."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `transform(images, seed)`."
        )

    def build(self, input_shape: Shape) -> None:
        """Creates nothing: augmentations have no variables but the seed's."""

    def call(self, images: Tensor) -> Tensor:
        """Augments with the next seed of the layer's generator."""
        return self.augment(images, tf.cast(self.seed_generator.next(), tf.int32))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the views for a shape of images."""
        return tuple(input_shape)

    def compute_output_spec(self, images: Tensor) -> keras.KerasTensor:
        """Shape and dtype of the views."""
        shape = self.compute_output_shape(images.shape)
        return keras.KerasTensor(shape, dtype="float32")

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {**super().get_config(), "seed": self.seed}


def to_unit_range(images):
    """Float32 images in [0, 1] of uint8, uint16 or float images; checks their shape."""
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or images.shape[-1] is None:
        raise ValueError(
            "Images must have four axes, (batch, height, width, channels), and a known "
            "number of channels; add the missing axis (`images[None]` for one image, "
            "`images[..., None]` for a grey batch) or set the shape. Received: shape "
            f"{images.shape}"
        )
    if images.dtype.is_floating:
        return tf.cast(images, tf.float32)
    if images.dtype in (tf.uint8, tf.uint16):
        scaled = tf.cast(images, tf.float32) * (1.0 / images.dtype.max)
        # Changes nothing, but an optimised graph would multiply the factors of an
        # augmentation first: views shall be the same to the bit wherever they are made.
        return tf.minimum(scaled, 1.0)
    raise ValueError(
        "Images must be uint8, uint16 or float in [0, 1]. Cast them, or scale them to "
        f"[0, 1]. Received: dtype {images.dtype.name}"
    )
