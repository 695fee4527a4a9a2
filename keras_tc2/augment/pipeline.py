"""Pipeline: augmentations one after the other."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation


@keras.saving.register_keras_serializable(package="keras_tc2")
class Pipeline(ImageAugmentation):
    """Applies image augmentations in their order.

    Each layer gets a seed of its own, made from the seed of the call and the layer's
    place.

    Args:
        layers: list of `ImageAugmentation` layers, at least one.
        channels: int >= 1, what images must have, or `None` for any. Recipes such as
            `simclr` set it: one for grey images would leave the colours of others as
            they are. Defaults to `None`.
        seed: int or `None`, see `ImageAugmentation`. The seeds of the layers inside
            are not used.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the shape that the last layer gives.

    Raises:
        ValueError: if `layers` is empty or holds anything else; in a call, if the
            images have other `channels`.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    recipe = augment.Pipeline(
        [augment.RandomResizedCrop(32), augment.RandomHorizontalFlip()]
    )
    views = recipe.augment(tf.zeros((8, 40, 40, 3), tf.uint8), seed=(0, 1))
    ```
    """

    def __init__(
        self,
        layers: Sequence[ImageAugmentation],
        *,
        channels: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.layers = check_augmentations("layers", layers)
        self.channels = channels and checks.integer("channels", channels)

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Applies the layers, each with its own seed."""
        if self.channels not in (None, images.shape[-1]):
            raise ValueError(
                f"The recipe {self.name!r} was made for images of {self.channels} "
                f"channel(s): make it with `channels={images.shape[-1]}`, or load the "
                f"images with `channels={self.channels}`. Received: images of shape "
                f"{tuple(images.shape)}"
            )
        for place, layer in enumerate(self.layers):
            images = layer.augment(images, tf.random.fold_in(seed, place))
        return images

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the views for a shape of images."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> Config:
        """The constructor arguments."""
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.layers]
        return {**super().get_config(), "layers": layers, "channels": self.channels}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Builds the layer, and the layers in it, from `get_config`."""
        layers = [
            keras.saving.deserialize_keras_object(layer) for layer in config["layers"]
        ]
        return cls(**{**config, "layers": layers})


def check_augmentations(name, layers):
    """Returns the layers as a list; `ValueError` if they are not augmentations."""
    is_list = isinstance(layers, list | tuple) and len(layers) > 0
    if not is_list or not all(isinstance(x, ImageAugmentation) for x in layers):
        raise ValueError(
            f"`{name}` must be a non-empty list of `keras_tc2.augment` layers; "
            f"subclass `ImageAugmentation` for your own. Received: {name}={layers!r}"
        )
    return list(layers)
