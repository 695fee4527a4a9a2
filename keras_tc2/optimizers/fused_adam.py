"""Adam and AdamW in one operation a weight."""

from typing import Any

import keras
import tensorflow as tf

from keras_tc2.annotations import Tensor
from keras_tc2.compat import adam_moments


class _FusedUpdate:
    """Mixin of Keras's Adam: its update by the kernel that TensorFlow has for it."""

    amsgrad: bool
    beta_1: float
    beta_2: float
    epsilon: float
    iterations: Any

    def update_step(
        self, gradient: Tensor, variable: Tensor, learning_rate: Tensor
    ) -> None:
        """Moves one variable, and its two moments, as Keras's own update does."""
        # The kernel knows neither; Keras's operations do.
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
            return
        momentum, velocity = adam_moments(self, variable)

        def number(value):
            return tf.cast(value, variable.dtype)

        step = number(self.iterations + 1)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=number(self.beta_1) ** step,
            beta2_power=number(self.beta_2) ** step,
            lr=number(learning_rate),
            beta1=number(self.beta_1),
            beta2=number(self.beta_2),
            epsilon=number(self.epsilon),
            grad=number(gradient),
        )


@keras.saving.register_keras_serializable(package="keras_tc2")
class FusedAdam(_FusedUpdate, keras.optimizers.Adam):
    """`keras.optimizers.Adam` [1], whose update of a weight is one kernel, not sixteen.

    The same numbers, arguments and saved state. A step launches fewer operations, which
    counts where these are small or XLA does not fuse them. With `amsgrad`, and for
    sparse gradients, it is Keras's own update.

    Args:
        learning_rate: as in `keras.optimizers.Adam`, like all other arguments.

    Example:
    ```python
    import keras_tc2

    optimizer = keras_tc2.optimizers.FusedAdam(1e-3)
    ```

    References:
        - [1] Kingma and Ba, 2014, arXiv 1412.6980, algorithm 1
    """


@keras.saving.register_keras_serializable(package="keras_tc2")
class FusedAdamW(_FusedUpdate, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` [1], whose update of a weight is one kernel.

    As `FusedAdam`; the decay of the weights stays an operation before it.

    Args:
        learning_rate: as in `keras.optimizers.AdamW`, like all other arguments.

    Example:
    ```python
    import keras_tc2

    optimizer = keras_tc2.optimizers.FusedAdamW(1e-3, weight_decay=1e-4)
    ```

    References:
        - [1] Loshchilov and Hutter, 2017, arXiv 1711.05101, algorithm 2
    """
