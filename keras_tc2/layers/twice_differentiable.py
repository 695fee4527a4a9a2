"""Finding, and replacing, the layers whose second derivative TensorFlow gets wrong."""

import keras

from keras_tc2.annotations import AnyLayer
from keras_tc2.compat import all_layers, change_class
from keras_tc2.layers.batch_normalization import BatchNormalization
from keras_tc2.layers.convolution import Conv2D
from keras_tc2.layers.group_normalization import GroupNormalization
from keras_tc2.layers.layer_normalization import LayerNormalization

# The layers of Keras 3 that take `tf.nn.moments`. Measured in float64 to be exact, and
# so not here: RMSNormalization, UnitNormalization, Normalization, LayerNormalization
# with `rms_scaling`, the attention and recurrent layers, pooling and convolutions.
EXACT_LAYERS = {
    keras.layers.BatchNormalization: BatchNormalization,
    keras.layers.LayerNormalization: LayerNormalization,
    keras.layers.GroupNormalization: GroupNormalization,
}
# Exact as they are, but see `Conv2D`.
REPLACED_LAYERS = {**EXACT_LAYERS, keras.layers.Conv2D: Conv2D}


def make_twice_differentiable(model: AnyLayer) -> AnyLayer:
    """Makes every normalisation of `model`, at any depth, exact; in place.

    Each stock Keras batch, layer or group normalisation becomes the layer of the same
    name of this package, which has the same arguments, weights and outputs and
    differs in its second derivative alone. Each `Conv2D` becomes one whose second
    derivative TensorFlow can always run on a CPU. The layer objects stay: only their
    class changes. So the class of the model, its attributes, its graph, its name and
    its weights are untouched, and a KerasCV backbone stays one.

    What was traced before keeps the old layers: compile a compiled model again. A
    subclass of a stock layer is left alone, since it may do anything;
    `stock_normalizations` names it.

    Args:
        model: a `keras.Model` or layer.

    Returns:
        `model` itself.

    Example:
    ```python
    import keras
    import keras_tc2

    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    model = keras_tc2.layers.make_twice_differentiable(model)
    assert keras_tc2.layers.stock_normalizations(model) == []
    ```
    """
    for layer in all_layers(model):
        if type(layer) in REPLACED_LAYERS:
            change_class(layer, REPLACED_LAYERS[type(layer)])
    return model


def stock_normalizations(model: keras.Layer) -> list[str]:
    """Names the normalisations of `model`, at any depth, wrong when derived twice.

    These are the stock Keras batch, layer and group normalisations and subclasses of
    them, which `make_twice_differentiable` replaces (subclasses it cannot), and two
    layers that stop a gradient by definition and so have no exact second derivative
    in any library: `SpectralNormalization` and batch normalisation with `renorm=True`.

    Other layers may be wrong too. Of those in Keras, bilinear `Resizing` after a
    layer with weights is (18 % in float64); at the input of a model it does no harm.

    Args:
        model: a `keras.Model` or layer.

    Returns:
        List of str, the path of each such layer (its name if it is not built).
    """
    return [layer.path or layer.name for layer in all_layers(model) if _inexact(layer)]


def _inexact(layer):
    if isinstance(layer, keras.layers.SpectralNormalization):
        return True
    if isinstance(layer, keras.layers.BatchNormalization) and layer.renorm:
        return True
    stock, exact = tuple(EXACT_LAYERS), tuple(EXACT_LAYERS.values())
    return isinstance(layer, stock) and not isinstance(layer, exact)
