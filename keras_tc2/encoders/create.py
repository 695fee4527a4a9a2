"""Encoders by name."""

import numbers
from collections.abc import Sequence
from typing import Any

from keras_tc2.annotations import Range, Shape
from keras_tc2.encoders import arguments
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.network import build_network
from keras_tc2.encoders.registry import builder_named, complete_arguments


def create(
    name: str,
    *,
    input_shape: Shape,
    channel_mean: Range | None = None,
    channel_std: Range | None = None,
    value_range: Sequence[float] | None = None,
    **builder_arguments: Any,
) -> Encoder:
    """Creates a new, untrained encoder.

    Args:
        name: str, one of `keras_tc2.encoders.names()`.
        input_shape: (height, width, channels) of the images, any number of channels.
        channel_mean: float, or floats one a channel, in the units of images in
            [0, 1]: subtracted inside the network. Given together with `channel_std`;
            without them the network takes [0, 1].
        channel_std: float > 0, or floats one a channel: what is divided by.
        value_range: (low, high) of raw images that are not uint8, or `None`: uint16 by
            its range, floats in [0, 1].
        **builder_arguments: arguments of the builder, such as `widths` of
            `"convnet"`; see its docstring.

    Returns:
        `keras_tc2.Encoder`. Its normalisation layers are exact when differentiated
        twice.

    Raises:
        ValueError: if the name or an argument is unknown, or a value out of range.

    Example:
    ```python
    import keras_tc2

    encoder = keras_tc2.encoders.create(
        "resnet18", input_shape=(32, 32, 3), width=8, channel_mean=0.5, channel_std=0.25
    )
    ```
    """
    input_shape = arguments.image_shape(input_shape)
    recipe = {
        "builder": name,
        "input_shape": list(input_shape),
        "arguments": complete_arguments(name, builder_arguments),
        "channel_mean": channel_mean,
        "channel_std": channel_std,
    }
    return create_from_recipe(recipe, value_range=value_range)


def create_from_recipe(recipe, **encoder_arguments):
    """Creates the encoder that a recipe (see `Encoder`) describes."""
    input_shape = arguments.image_shape(recipe["input_shape"])
    mean, std = _channel_statistics(
        recipe["channel_mean"], recipe["channel_std"], input_shape[-1]
    )
    name = recipe["builder"]
    backbone = builder_named(name)(
        input_shape, **complete_arguments(name, recipe["arguments"])
    )
    network = build_network(
        backbone,
        input_shape=input_shape,
        channel_mean=mean,
        channel_std=std,
        name=name,
    )
    recipe = {**recipe, "channel_mean": mean, "channel_std": std}
    return Encoder(network, backbone=backbone, recipe=recipe, **encoder_arguments)


def _channel_statistics(mean, std, channels):
    if mean is None and std is None:
        return None, None
    if mean is None or std is None:
        raise ValueError(
            "`channel_mean` and `channel_std` go together. "
            f"Received: channel_mean={mean}, channel_std={std}"
        )
    mean = _one_a_channel("channel_mean", mean, channels)
    std = _one_a_channel("channel_std", std, channels)
    if min(std) <= 0:
        raise ValueError(f"`channel_std` must be > 0. Received: channel_std={std}")
    return mean, std


def _one_a_channel(name, value, channels):
    if isinstance(value, numbers.Real):
        value = [value] * channels
    values = [float(v) for v in value]
    if len(values) != channels or not all(abs(v) < 1e6 for v in values):
        raise ValueError(
            f"`{name}` must be a finite number or {channels} of them, one a channel. "
            f"Received: {name}={value}"
        )
    return values
