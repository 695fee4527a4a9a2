"""The momentum of batch normalisation, where a builder does not take it."""

import keras


def with_batch_norm_momentum(model, momentum):
    """Sets the momentum of every batch normalisation among a model's layers.

    Args:
        model: `keras.Model`.
        momentum: float in [0, 1], of the moving statistics.

    Returns:
        `model` itself.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = float(momentum)
    return model
