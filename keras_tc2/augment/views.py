"""Views: one recipe for each view of an image."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.pipeline import check_augmentations


@keras.saving.register_keras_serializable(package="keras_tc2")
class Views(ImageAugmentation):
    """Makes several views of each image, view i by recipe i.

    For objectives whose views differ by design, such as BYOL's second view with
    solarisation or DINO's small local crops. Not to be confused with a plain *list* of
    recipes, which means one recipe for each task block of a batch.

    Args:
        recipes: list of `ImageAugmentation` layers, at least one; `recipes[i]` makes
            view i. The list is also an attribute.
        seed: int or `None`, see `ImageAugmentation`. The seeds of the recipes are not
            used.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Tuple, as long as `recipes`, of float32 tensors in [0, 1]
        `(batch, height_i, width_i, channels)`.

    Raises:
        ValueError: if `recipes` is empty or holds anything else.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    views = augment.byol(image_size=64)
    view_1, view_2 = views.augment(tf.zeros((8, 80, 80, 3), tf.uint8), seed=(0, 1))
    ```
    """

    def __init__(
        self,
        recipes: Sequence[ImageAugmentation],
        *,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.recipes = check_augmentations("recipes", recipes)

    def transform(self, images: Tensor, seed: Tensor) -> tuple[Tensor, ...]:
        """The views, each with its own seed."""
        return tuple(
            recipe.augment(images, tf.random.fold_in(seed, place))
            for place, recipe in enumerate(self.recipes)
        )

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, ...]:
        """The shape of the views for a shape of images."""
        return tuple(
            recipe.compute_output_shape(input_shape) for recipe in self.recipes
        )

    def compute_output_spec(self, images: Tensor) -> tuple[keras.KerasTensor, ...]:
        """Shape and dtype of the views."""
        return tuple(recipe.compute_output_spec(images) for recipe in self.recipes)

    def get_config(self) -> Config:
        """The constructor arguments."""
        recipes = [keras.saving.serialize_keras_object(x) for x in self.recipes]
        return {**super().get_config(), "recipes": recipes}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Builds the layer, and the layers in it, from `get_config`."""
        recipes = [keras.saving.deserialize_keras_object(x) for x in config["recipes"]]
        return cls(**{**config, "recipes": recipes})
