"""Encoders by name."""

from collections.abc import Sequence
from typing import Any

from keras_tc2.annotations import Range, Shape
from keras_tc2.encoders import arguments
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.recipe import network_of
from keras_tc2.encoders.registry import complete_arguments


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
    return Encoder(**network_of(recipe), value_range=value_range)
