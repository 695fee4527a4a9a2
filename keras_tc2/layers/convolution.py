"""A convolution whose second derivative TensorFlow can run on a CPU."""

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Tensor


@keras.saving.register_keras_serializable(package="keras_tc2")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose bias is added by a plain sum.

    Arguments, weights and outputs are those of the Keras layer. On a CPU oneDNN
    merges the gradient of a bias with a filter gradient that has the same input. In
    the second derivative it may take that of the second pass, on which the first
    depends: TensorFlow then fails, now and then, with "nodes in a cycle" (measured
    with TensorFlow 2.21). The gradient of a sum is not merged.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Convolution, bias, activation."""
        outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            last = self.data_format == "channels_last"
            shape = (1, 1, 1, -1) if last else (1, -1, 1, 1)
            # `ops.add` would call `tf.nn.bias_add`, whose gradient is the one merged.
            outputs = tf.add(outputs, ops.reshape(self.bias, shape))
        if self.activation is not None:
            return self.activation(outputs)
        return outputs
