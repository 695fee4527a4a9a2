"""The identity, whose gradient has the opposite sign."""

import keras
import tensorflow as tf

from keras_tc2.annotations import Tensor
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class GradientReversal(ShownLayer):
    """Passes values on as they are, and gradients back times −factor.

    What comes before the layer learns to make the loss behind it worse [1, eq. 16, 17].

    Call arguments:
        inputs: float tensor of any shape.
        factor: float or scalar tensor >= 0, λ. Defaults to `1.0`.

    Returns:
        The same tensor.

    Example:
    ```python
    import keras
    import keras_tc2

    reverse = keras_tc2.layers.GradientReversal()
    same = reverse(keras.random.normal((4, 3)), factor=0.5)
    ```

    References:
        - [1] Ganin et al., 2016, arXiv 1505.07818
    """

    def call(self, inputs: Tensor, factor: float = 1.0) -> Tensor:
        """The inputs."""
        inputs = tf.convert_to_tensor(inputs)
        factor = tf.cast(factor, inputs.dtype)

        # A gradient of its own, since −λx + stop_gradient((1 + λ)x) would round.
        @tf.custom_gradient
        def reversed_identity(x):
            return tf.identity(x), lambda upstream: -factor * upstream

        return reversed_identity(inputs)
