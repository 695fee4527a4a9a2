"""Batch normalisation over all replicas, for a model that was made without it."""

import keras

from keras_tc2.annotations import AnyLayer
from keras_tc2.compat import all_layers
from keras_tc2.layers.twice_differentiable import make_twice_differentiable


def synchronize(model: AnyLayer) -> AnyLayer:
    """Makes every batch normalisation of `model`, at any depth, synchronised; in place.

    Under a `tf.distribute` strategy the statistics of a batch are then those of all
    replicas, so that N replicas train as one device would on the whole batch. The
    passes of an inner step stay local to their replica. Without a strategy nothing
    changes. Stock normalisations become those of this package (see
    `make_twice_differentiable`), which know the inner step.

    What was traced before keeps the old layers: call it before `compile`.

    Args:
        model: a `keras.Model` or layer, such as an `Encoder` or `ProjectionHead`.

    Returns:
        `model` itself.

    Example:
    ```python
    import keras_tc2

    encoder = keras_tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    keras_tc2.layers.synchronize(encoder)
    ```
    """
    for layer in all_layers(make_twice_differentiable(model)):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    return model
