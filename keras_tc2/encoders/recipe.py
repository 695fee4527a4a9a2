"""From a recipe, which JSON holds, to the network that it describes."""

import numbers

from keras_tc2.encoders import arguments
from keras_tc2.encoders.network import build_network
from keras_tc2.encoders.registry import builder_named, complete_arguments


def network_of(recipe):
    """Builds what a recipe describes, as arguments of `Encoder`.

    Args:
        recipe: dict of `builder`, `input_shape`, `arguments`, `channel_mean` and
            `channel_std`.

    Returns:
        Dict of `network`, `backbone` and the `recipe`, in which mean and deviation are
        lists, one number a channel.

    Raises:
        ValueError: if the builder or an argument is unknown, or a value out of range.
    """
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
    return {"network": network, "backbone": backbone, "recipe": recipe}


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
