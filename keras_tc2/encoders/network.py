"""From a backbone to the network that gives features."""

import keras

from keras_tc2.layers.twice_differentiable import make_twice_differentiable


def build_network(backbone, *, input_shape, channel_mean, channel_std, name):
    """Normalisation by channel, the backbone and global average pooling, as a model.

    Args:
        backbone: `keras.Model`, float images to a feature map, tokens or features.
        input_shape: (height, width, channels).
        channel_mean: floats, one a channel, in the units of images in [0, 1], or
            `None`.
        channel_std: floats, likewise.
        name: str. Name of the model.

    Returns:
        `keras.Model`, float images `(batch, height, width, channels)` in [0, 1] to
        features `(batch, dim)`, float32 also under a half-precision policy. Its
        normalisation layers are exact when differentiated twice.

    Raises:
        ValueError: if the backbone gives something else.
    """
    x = images = keras.Input(input_shape, name="images")
    if channel_mean is not None:
        statistics = list(zip(channel_mean, channel_std, strict=True))
        x = keras.layers.Rescaling(
            scale=[1 / std for _, std in statistics],
            offset=[-mean / std for mean, std in statistics],
            name="channel_normalization",
        )(x)
    x = backbone(x)
    rank = len(x.shape)
    if rank == 4:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    elif rank == 3:
        x = keras.layers.GlobalAveragePooling1D(name="pooling")(x)
    elif rank != 2:
        raise ValueError(
            f"A backbone must give a feature map (batch, height, width, dim), tokens "
            f"(batch, tokens, dim) or features (batch, dim). The builder of {name!r} "
            f"gave the shape {tuple(x.shape)}."
        )
    network = keras.Model(images, in_float32(x), name=name)
    return make_twice_differentiable(network)


def in_float32(features):
    """Casts half-precision features up; gives others unchanged."""
    if keras.backend.standardize_dtype(features.dtype) in ("float16", "bfloat16"):
        return keras.layers.Activation("linear", dtype="float32", name="features")(
            features
        )
    return features
