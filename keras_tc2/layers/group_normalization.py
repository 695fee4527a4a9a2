"""Group normalisation that may be differentiated twice."""

import keras
from keras import ops

from keras_tc2.annotations import Tensor
from keras_tc2.layers.moments import exact_moments
from keras_tc2.precision import at_least_float32


@keras.saving.register_keras_serializable(package="keras_tc2")
class GroupNormalization(keras.layers.GroupNormalization):
    """`keras.layers.GroupNormalization` with exact second derivatives.

    See `BatchNormalization` for why. Arguments, weights and outputs are those of the
    Keras layer.

    Example:
    ```python
    import keras
    import keras_tc2

    layer = keras_tc2.layers.GroupNormalization(groups=2)
    outputs = layer(keras.random.normal((8, 6, 6, 4)))
    ```

    References:
        - [1] Wu and He, 2018, arXiv 1803.08494, equations 1 to 7
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Normalises each sample and group; `(batch, ...)` in, the same shape out."""
        x = at_least_float32(inputs)
        rank = len(x.shape)
        axis = self.axis % rank
        shape = ops.shape(x)
        group_size = x.shape[axis] // self.groups
        grouped = ops.reshape(
            x, (*shape[:axis], self.groups, group_size, *shape[axis + 1 :])
        )
        others = [a for a in range(1, rank + 1) if a != axis]
        mean, variance = exact_moments(grouped, others, keepdims=True)
        outputs = (grouped - mean) * ops.rsqrt(variance + self.epsilon)

        parameter_shape = [1] * (rank + 1)
        parameter_shape[axis : axis + 2] = [self.groups, group_size]
        if self.gamma is not None:
            gamma = ops.cast(self.gamma, x.dtype)
            outputs = outputs * ops.reshape(gamma, parameter_shape)
        if self.beta is not None:
            beta = ops.cast(self.beta, x.dtype)
            outputs = outputs + ops.reshape(beta, parameter_shape)
        return ops.cast(ops.reshape(outputs, shape), self.compute_dtype)
