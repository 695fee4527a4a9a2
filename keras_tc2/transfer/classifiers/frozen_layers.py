"""Freezing the first layers of a model, whatever it is nested in."""


def freeze_first_layers(model, number):
    """Makes the first `number` layers with weights, in order of call, untrainable.

    Raises:
        ValueError: if the model has fewer.
    """
    layers = [layer for layer in _leaves(model) if layer.weights]
    if number > len(layers):
        raise ValueError(
            f"`num_frozen_layers` is {number}, and the encoder has {len(layers)} "
            "layers with weights."
        )
    for layer in layers[:number]:
        layer.trainable = False


def _leaves(layer):
    inner = getattr(layer, "layers", None)
    if not inner:
        return [layer]
    return [leaf for child in inner for leaf in _leaves(child)]
