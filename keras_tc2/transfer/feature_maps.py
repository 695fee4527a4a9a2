"""The last feature map of an encoder: features that still know where they are."""

import keras


def feature_map_model(encoder):
    """A model from raw images to the encoder's last feature map, weights shared.

    Args:
        encoder: an `Encoder`, or a functional `keras.Model`.

    Returns:
        `keras.Model` or callable from images `(B, H, W, C)`, as the encoder takes
        them, to a map `(B, h, w, D)`.

    Raises:
        ValueError: if no layer of the encoder gives a map with both sides above one
            pixel: it pools too early, or works on tokens.
    """
    network = getattr(encoder, "network", encoder)
    maps = _last_map(network)
    if maps is None:
        raise ValueError(
            f"The encoder {encoder.name!r} has no feature map (B, h, w, D) with h and "
            "w above 1 that can be read; use an encoder with a convolutional backbone."
        )
    preprocess = getattr(encoder, "preprocess", None)
    if preprocess is None:
        return maps
    return keras.layers.Lambda(lambda images: maps(preprocess(images)))


def _last_map(network):
    """The functional model up to the last layer that gives a map, or None."""
    layers = getattr(network, "layers", ())
    for layer in reversed(layers):
        output = _output(layer)
        if output is None or len(output.shape) != 4:
            continue
        if 1 in output.shape[1:3]:
            continue
        return keras.Model(network.inputs, layer.output)
    return None


def _output(layer):
    try:
        return layer.output
    except (AttributeError, ValueError):
        return None
