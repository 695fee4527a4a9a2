"""The last feature map of an encoder: features that still know where they are."""

import keras


def feature_map_function(encoder):
    """A function from raw images to the encoder's last feature map, weights shared.

    Args:
        encoder: an `Encoder`, or a functional `keras.Model`.

    Returns:
        Callable from images `(B, H, W, C)`, as the encoder takes
        them, to a map `(B, h, w, D)`.

    Raises:
        ValueError: if no layer of the encoder gives a map with both sides above one
            pixel: it pools too early, or works on tokens.
    """
    network = getattr(encoder, "network", encoder)
    last_map = _last_map(network)
    if last_map is None:
        raise ValueError(
            f"The encoder {encoder.name!r} has no feature map (B, h, w, D) with h and "
            "w above 1 that can be read; use an encoder with a convolutional backbone."
        )
    to_map = keras.Model(network.inputs, last_map)
    preprocess = getattr(encoder, "preprocess", lambda images: images)
    return lambda images: to_map(preprocess(images), training=False)


def _last_map(network):
    """The last map that a layer of the network reads, or None."""
    images = getattr(network, "inputs", None)
    for layer in reversed(getattr(network, "layers", ())):
        try:
            read = layer.input
        except (AttributeError, ValueError):
            continue
        is_map = hasattr(read, "shape") and len(read.shape) == 4
        if is_map and 1 not in read.shape[1:3] and read is not images[0]:
            return read
    return None
