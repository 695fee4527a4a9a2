"""Layer normalisation that may be differentiated twice."""

import keras
from keras import ops

from keras_tc2.annotations import Tensor
from keras_tc2.layers.moments import exact_moments
from keras_tc2.precision import at_least_float32


@keras.saving.register_keras_serializable(package="keras_tc2")
class LayerNormalization(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` with exact second derivatives.

    See `BatchNormalization` for why. Arguments, weights and outputs are those of the
    Keras layer.

    Example:
    ```python
    import keras
    import keras_tc2

    outputs = keras_tc2.layers.LayerNormalization()(keras.random.normal((8, 4)))
    ```

    References:
        - [1] Ba et al., 2016, arXiv 1607.06450, equation 4
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Normalises each sample over `axis`; `(...)` in, the same shape out."""
        if self.rms_scaling:
            return super().call(inputs)
        x = at_least_float32(inputs)
        mean, variance = exact_moments(x, self.axis, keepdims=True)
        outputs = (x - mean) * ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            outputs = outputs * self._along_axis(self.gamma, x)
        if self.beta is not None:
            outputs = outputs + self._along_axis(self.beta, x)
        return ops.cast(outputs, self.compute_dtype)

    def _along_axis(self, parameter, x):
        shape = [1] * len(x.shape)
        for axis in self.axis:
            shape[axis] = x.shape[axis]
        return ops.reshape(ops.cast(parameter, x.dtype), shape)
