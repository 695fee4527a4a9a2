"""The encoder: raw images in, features out, everything in between inside."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Array, Config, Shape, Tensor
from keras_tc2.compat import all_layers
from keras_tc2.data.reading.python_calls import numpy_function
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.encoders.network import in_float32
from keras_tc2.encoders.publishable import Publishable
from keras_tc2.encoders.recipe import network_of
from keras_tc2.pixels import check_values, default_range


@keras.saving.register_keras_serializable(package="keras_tc2")
class Encoder(Publishable, keras.Model):
    """A model from raw images to features, with its preprocessing.

    `encoder(raw)` is `encoder.encode(encoder.preprocess(raw))`. Pretrainers call
    `encode` on views that are float in [0, 1] already; users call the encoder, or
    `predict`, on the images as they come. Made by `keras_tc2.encoders.create`,
    `Encoder.wrap` or `keras_tc2.from_pretrained`.

    Attributes:
        network: `keras.Model`, float images in [0, 1] to features `(batch, dim)`;
            per-channel normalisation and pooling are inside.
        backbone: the model inside `network` that gives the last feature map; of a
            KerasCV encoder a KerasCV backbone.
        feature_dim: int.
        image_shape: (height, width, channels).
        training_record: dict, how the encoder was trained, or `None`; `save_pretrained`
            publishes it.
        source: str, the folder or repository that `from_pretrained` loaded it from, or
            `None`.

    Args:
        network: `keras.Model` as above.
        backbone: `keras.Model`, one of the layers of `network`. Defaults to
            `network`.
        value_range: (low, high), what raw images that are not uint8 range over, or
            `None`: uint16 by its range, floats in [0, 1]. uint8 is always 0 to 255.
            Defaults to `None`.
        recipe: dict. How `create` built the network: what is saved in place of its
            layers. `None` for a network that was given ready.

    Call arguments:
        inputs: raw images `(batch, height, width, channels)`: uint8, uint16, float in
            [0, 1], or of another type in `value_range`.
        training: bool, as in Keras.

    Returns:
        Float tensor `(batch, feature_dim)`, float32 under half-precision policies.

    Raises:
        ValueError: if the images are not of `image_shape`, or arrays, or the first
            batch of a dataset, hold values out of the range.

    Example:
    ```python
    import numpy as np
    import keras_tc2

    encoder = keras_tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    images = np.zeros((2, 28, 28, 1), "uint8")
    features = encoder.predict(images, verbose=0)
    assert features.shape == (2, encoder.feature_dim)
    ```
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        backbone: keras.Model | None = None,
        value_range: Sequence[float] | None = None,
        recipe: Config | None = None,
        **kwargs: Any,
    ) -> None:
        # Half precision would round images before `preprocess` has seen them.
        super().__init__(autocast=False, **kwargs)
        self.network = network
        self._backbone_name = None if backbone is None else backbone.name
        self.value_range = checked_value_range(value_range)
        self.recipe = recipe
        self.training_record = None
        self.source = None
        self.built = True

    @classmethod
    def wrap(
        cls,
        model: keras.Model,
        *,
        preprocessing: Callable[[Tensor], Tensor] | None = None,
        value_range: Sequence[float] | None = None,
    ) -> Self:
        """Makes an encoder of any Keras model that gives features.

        The weights are shared with `model`, not copied. Its normalisation layers
        stay what they are: a pretrainer that differentiates twice asks for
        `keras_tc2.layers.make_twice_differentiable(model)` first.

        Args:
            model: built `keras.Model`, images `(batch, height, width, channels)` to
                features `(batch, dim)`.
            preprocessing: layer, or function of a tensor written with `keras.ops`,
                from images in [0, 1] to what `model` takes. `None`: `model` takes
                images in [0, 1].
            value_range: as of the class. Defaults to `None`.

        Returns:
            `Encoder`.

        Raises:
            ValueError: if the model has not one image input and one (batch, dim)
                output.

        Example:
        ```python
        import keras
        import keras_tc2

        model = keras.Sequential([
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.GlobalAveragePooling2D(),
        ])
        encoder = keras_tc2.Encoder.wrap(model, preprocessing=lambda x: 2 * x - 1)
        ```
        """
        input_shape = _checked_input_shape(model)
        images = keras.Input(input_shape, name="images")
        x = images if preprocessing is None else preprocessing(images)
        network = keras.Model(
            images, in_float32(model(x)), name=f"{model.name}_wrapped"
        )
        return cls(network, backbone=model, value_range=value_range)

    @property
    def backbone(self) -> keras.Model:
        """The model inside `network` that gives the last feature map."""
        if self._backbone_name is None:
            return self.network
        return self.network.get_layer(self._backbone_name)

    @property
    def feature_dim(self) -> int:
        """Length of a feature vector, an int."""
        return self.network.output_shape[-1]

    @property
    def image_shape(self) -> Shape:
        """(height, width, channels) of the images."""
        return tuple(self.network.input_shape[1:])

    def preprocess(self, raw: Tensor) -> Tensor:
        """Raw images to float images in [0, 1], float32 or float64.

        Args:
            raw: `(batch, height, width, channels)`, as of a call.

        Returns:
            Float tensor of the same shape.
        """
        raw = ops.convert_to_tensor(raw)
        self._check_shape(raw)
        if hasattr(raw, "numpy"):
            self.check_values(raw)
        dtype = keras.backend.standardize_dtype(raw.dtype)
        stated = None if dtype == "uint8" else self.value_range
        low, high = stated or default_range(dtype)
        # Half precision could not hold 16-bit images; the network casts later.
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        return (ops.cast(raw, dtype) - low) / (high - low)

    def check_values(self, images: Tensor) -> None:
        """Raises `ValueError` if raw images have values out of their range.

        Args:
            images: array or eager tensor.
        """
        if images.dtype != "uint8":
            check_values(images, self.value_range)

    @unwrapped()
    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """As of `keras.Model`, on raw images, whose values are looked at first."""
        return super().predict(with_checked_values(x, self), *args, **kwargs)

    def as_views(self, images: Tensor) -> Tensor:
        """Raw integers as floats in [0, 1]; floats are views already.

        Args:
            images: tensor `(batch, height, width, channels)`.
        """
        return images if _are_floats(images) else self.preprocess(images)

    def encode(self, views: Tensor, training: bool | None = None) -> Tensor:
        """Views that are float in [0, 1] to features.

        Args:
            views: float tensor `(batch, height, width, channels)`.
            training: bool, as in Keras.

        Returns:
            Float tensor `(batch, feature_dim)`.

        Raises:
            ValueError: if they are integers: raw images are for a call.
        """
        self._check_shape(views)
        if not _are_floats(views):
            raise ValueError(
                "`encode` takes views that are float in [0, 1]. Received: dtype "
                f"{views.dtype}. Call the encoder on raw images: encoder(images)."
            )
        return self.network(views, training=training)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Raw images to features: `encode(preprocess(inputs))`."""
        return self.encode(self.preprocess(inputs), training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, feature_dim)."""
        return (input_shape[0], self.feature_dim)

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the layers of `network`; arguments as in `keras.Model.summary`."""
        return self.network.summary(*args, **kwargs)

    def get_config(self) -> Config:
        """Returns every constructor argument; for a created encoder its recipe."""
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "value_range": self.value_range and list(self.value_range),
            "recipe": self.recipe,
            "backbone": self._backbone_name,
            "network": None,
        }
        if self.recipe is None:
            config["network"] = keras.saving.serialize_keras_object(self.network)
        else:
            # A recipe knows nothing of what was frozen since.
            config["frozen_layers"] = [
                position
                for position, layer in enumerate(all_layers(self.network))
                if not layer.trainable
            ]
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Builds anew from the recipe, or reads the network that was given.

        It computes in the precision that it was made in, whatever the dtype policy of
        the process.
        """
        config = dict(config)
        config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        backbone, recipe = config.pop("backbone"), config.pop("recipe")
        if recipe is not None:
            config.pop("network")
            frozen = config.pop("frozen_layers", None)
            with _layers_of(config["dtype"]):
                parts = network_of(recipe)
            encoder = cls(**parts, **config)
            if frozen is None and not encoder.trainable:
                encoder.network.trainable = False  # Older files list none.
            if frozen:
                for position, layer in enumerate(all_layers(encoder.network)):
                    layer.trainable = position not in frozen
            return encoder
        network = keras.saving.deserialize_keras_object(config.pop("network"))
        if backbone is not None:
            backbone = network.get_layer(backbone)
        return cls(network, backbone=backbone, **config)

    def _check_shape(self, images):
        expected = self.image_shape
        if getattr(images.shape, "rank", 4) is None:
            given = ("unknown",)
        else:
            given = tuple(images.shape)
        fits = len(given) == 4 and all(
            want is None or have is None or want == have
            for want, have in zip(expected, given[1:], strict=True)
        )
        if fits:
            return
        height, width, channels = expected
        advice = "Resize the images, or create an encoder for their `input_shape`."
        if len(given) == 4 and (given[1], given[3]) == (channels, width):
            advice = "Channels come last: np.moveaxis(images, 1, -1)."
        if len(given) == 3:
            advice = "A single image needs a batch axis in front: image[None]."
        raise ValueError(
            f"Encoder {self.name!r} takes images (batch, height={height}, "
            f"width={width}, channels={channels}). Received the shape {given}. {advice}"
        )


@contextlib.contextmanager
def _layers_of(policy):
    """Within, layers are made under a dtype policy, whatever the process's is."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _are_floats(images):
    return keras.backend.is_float_dtype(images.dtype)


def value_check(encoder):
    """What looks at the values of raw images: of no `Encoder` nothing is known."""
    return getattr(encoder, "check_values", lambda images: None)


def with_checked_values(x, encoder):
    """What `fit` or `predict` is given, its values looked at.

    Arrays at once; of a dataset the first batch, when it comes.
    """
    check = value_check(encoder)
    if isinstance(x, tf.data.Dataset):
        return _with_checked_first(x, check)
    if hasattr(x, "dtype") and hasattr(x, "shape"):
        check(x)
    return x


def _with_checked_first(dataset, check):
    def look(images):
        check(images)
        return images

    def looked_at(place, element):
        images, *rest = keras.tree.flatten(element)
        if images.dtype == tf.uint8:
            return element
        looked = tf.cond(
            place == 0,
            lambda: numpy_function(look, [images], images.dtype),
            lambda: images,
        )
        looked = tf.ensure_shape(looked, images.shape)
        return keras.tree.pack_sequence_as(element, [looked, *rest])

    return dataset.enumerate().map(looked_at)


def checked_value_range(value_range):
    """Returns (low, high) as floats, or `None`, or raises `ValueError`."""
    if value_range is None:
        return None
    low, high = (float(bound) for bound in value_range)
    if not low < high:
        raise ValueError(
            "`value_range` must be (low, high) with low < high. "
            f"Received: value_range={value_range}"
        )
    return low, high


def _checked_input_shape(model):
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {model!r}")
    try:
        inputs, outputs = model.input_shape, model.output_shape
    except AttributeError as error:
        raise ValueError(
            f"Model {model.name!r} has no fixed shapes yet. Make it a functional or "
            "sequential model with a keras.Input, and wrap that."
        ) from error
    if not isinstance(inputs, tuple) or len(inputs) != 4 or inputs[-1] is None:
        raise ValueError(
            "`model` must take one batch of images (batch, height, width, channels). "
            f"Received: input shape {inputs}"
        )
    if not isinstance(outputs, tuple) or len(outputs) != 2 or outputs[-1] is None:
        raise ValueError(
            "`model` must give features (batch, dim). Received: output shape "
            f"{outputs}. Add a GlobalAveragePooling2D or Flatten layer."
        )
    return inputs[1:]
