"""A second encoder like the first."""

import keras

from keras_tc2.compat import all_layers, change_class


def copy_of(encoder):
    """A new encoder with the same architecture, weights and frozen layers.

    Normalisations that `layers.make_twice_differentiable` or `layers.synchronize` has
    changed in place are changed in the copy as well, though a recipe knows nothing of
    it.

    Args:
        encoder: an `Encoder`, or any `keras.Model` that can be serialized.

    Returns:
        A model of the same class.

    Raises:
        ValueError: if it has no configuration.
    """
    try:
        config = keras.saving.serialize_keras_object(encoder)
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"The encoder {encoder.name!r} cannot be copied: give its class "
            "`get_config` and register it with "
            "`keras.saving.register_keras_serializable`."
        ) from error
    for layer, twin in zip(all_layers(encoder), all_layers(copy), strict=True):
        if isinstance(layer, type(twin)):
            change_class(twin, type(layer))
        if isinstance(layer, keras.layers.BatchNormalization):
            twin.synchronized = layer.synchronized
        twin.trainable = layer.trainable
    copy.set_weights(encoder.get_weights())
    return copy
