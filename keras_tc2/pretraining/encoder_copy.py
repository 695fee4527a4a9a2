"""A second encoder like the first."""

import keras


def copy_of(encoder):
    """A new encoder with the same architecture, weights and frozen layers.

    Normalisations that `layers.make_twice_differentiable` or `layers.synchronize` has
    changed in place are changed in the copy as well, though a recipe knows nothing of
    it.

    Args:
        encoder: an `Encoder`.

    Returns:
        `Encoder`.
    """
    config = keras.saving.serialize_keras_object(encoder)
    config.pop("compile_config", None)
    copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
    for layer, twin in zip(
        encoder._flatten_layers(), copy._flatten_layers(), strict=True
    ):
        if isinstance(layer, type(twin)):
            twin.__class__ = layer.__class__
        if isinstance(layer, keras.layers.BatchNormalization):
            twin.synchronized = layer.synchronized
        twin.trainable = layer.trainable
    copy.set_weights(encoder.get_weights())
    return copy
