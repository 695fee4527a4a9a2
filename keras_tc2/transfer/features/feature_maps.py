"""The feature maps of an encoder: features that still know where they are."""

import keras


def feature_map_function(encoder, *, max_stride=None):
    """A function from raw images to a feature map of the encoder, weights shared.

    Args:
        encoder: an `Encoder`, or a functional `keras.Model`.
        max_stride: int >= 1: the last map is taken of those that are at most so many
            times smaller than the image; `None` for the last of all. Defaults to
            `None`.

    Returns:
        Callable from images `(B, H, W, C)`, as the encoder takes
        them, to a map `(B, h, w, D)`.

    Raises:
        ValueError: if no layer of the encoder gives a map with both sides above one
            pixel, and as fine as asked for: it pools too early, or works on tokens.
    """
    network = _unwrapped(getattr(encoder, "network", encoder))
    found = (
        _last_map(network) if max_stride is None else _finer_map(network, max_stride)
    )
    if found is None:
        stride = "" if max_stride is None else f" of a stride of at most {max_stride}"
        raise ValueError(
            f"The encoder {encoder.name!r} has no feature map (B, h, w, D) with h and "
            f"w above 1{stride} that can be read; use an encoder with a convolutional "
            "backbone."
        )
    to_map = keras.Model(network.inputs, found)
    preprocess = getattr(encoder, "preprocess", lambda images: images)
    return lambda images: to_map(preprocess(images), training=False)


def _unwrapped(network):
    """The model that a network does nothing but call, or the network itself."""
    layers = [
        layer
        for layer in getattr(network, "layers", ())
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    alone = len(layers) == 1 and isinstance(layers[0], keras.Model)
    return layers[0] if alone else network


def _last_map(network):
    """The last map that a layer of the network reads, or None."""
    images = getattr(network, "inputs", None)
    for layer in reversed(getattr(network, "layers", ())):
        if isinstance(layer, keras.Model):
            continue  # What a model reads inside is not in this network.
        try:
            read = layer.input
        except (AttributeError, ValueError):
            continue
        is_map = hasattr(read, "shape") and len(read.shape) == 4
        if is_map and 1 not in read.shape[1:3] and read is not images[0]:
            return read
    return None


def _finer_map(network, max_stride):
    """The last map of that stride that a layer gives, also inside of a backbone."""
    backbone, images = network, network.inputs[0]
    inside = [x for x in network.layers if isinstance(x, keras.Model)]
    if len(inside) == 1:
        (backbone,) = inside
        normalization = channel_normalization(network)
        if normalization is not None:
            images = normalization.output
    shape = (1, *network.input_shape[1:])
    for layer in reversed(backbone.layers):
        output = getattr(layer, "output", None)
        is_map = hasattr(output, "shape") and len(output.shape) == 4
        if not is_map or isinstance(layer, keras.layers.InputLayer):
            continue
        part = keras.Model(backbone.inputs, output)
        sides = part.compute_output_shape(shape)[1:3]
        smallest = [max(2, side / max_stride) for side in shape[1:3]]
        if all(side >= least for side, least in zip(sides, smallest, strict=True)):
            return part(images)
    return None


def channel_normalization(network):
    """The layer by which `encoders.create` normalises channels, or None."""
    layers = (x for x in network.layers if x.name == "channel_normalization")
    return next(layers, None)
