"""Batch normalisation that may be differentiated twice."""

import keras
from keras import ops

from keras_tc2.layers.moments import exact_moments


@keras.saving.register_keras_serializable(package="keras_tc2")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with exact second derivatives.

    The hypergradient of an inner step differentiates the gradient of the encoder
    once more. Keras's own layer takes its moments from `tf.nn.moments`, whose second
    derivative is wrong (see `exact_moments`): relative errors of a Hessian-vector
    product reach 5.6 in a network with two such layers.

    Arguments, call arguments, weights, their order and their names are those of the
    Keras layer, so weights move freely between the two, and so do outputs and moving
    statistics. In addition `synchronized=True` also holds under a `mask`.

    Example:
    ```python
    import keras
    import keras_tc2

    layer = keras_tc2.layers.BatchNormalization(momentum=0.9)
    outputs = layer(keras.random.normal((8, 4)), training=True)
    ```

    References:
        - [1] Ioffe and Szegedy, 2015, arXiv 1502.03167, algorithm 1
    """

    # Keras calls this for the moments of a training batch; inputs are float32 or wider.
    def _moments(self, inputs, mask):
        if mask is not None:
            mask = ops.cast(ops.expand_dims(mask, axis=-1), "bool")
        return exact_moments(
            inputs,
            self._reduction_axes,
            mask=mask,
            synchronized=self.synchronized,
        )
