"""Centring: what keeps DINO's teacher from always giving one answer."""

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.checks import probability
from keras_tc2.replicas import num_replicas
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class Centring(ShownLayer):
    """Subtracts a moving average of the teacher's outputs.

    Equation 4 of [1]: the centre c ← m c + (1 − m) mean(outputs), over the images of
    all replicas. The outputs are centred before their own mean enters c.

    Args:
        momentum: float in [0, 1]. m.

    Call arguments:
        outputs: float tensor `(batch, dim)`.
        training: bool. Whether the centre moves.

    Returns:
        Float tensor `(batch, dim)`.

    Raises:
        ValueError: if `momentum` is outside [0, 1].

    Example:
    ```python
    import keras
    from keras_tc2.objectives.centring import Centring

    centred = Centring(0.9)(keras.random.normal((8, 16)), training=True)
    ```

    References:
        - [1] Caron et al., 2021, arXiv 2104.14294, equation 4
    """

    def __init__(self, momentum, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.momentum = probability("momentum", momentum)

    def build(self, outputs_shape):
        """Creates the centre, at zero."""
        self.centre = self.add_weight(
            shape=(outputs_shape[-1],),
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="centre",
        )

    def call(self, outputs, training=False):
        """The centred outputs."""
        centred = outputs - ops.cast(self.centre, outputs.dtype)
        if training:
            mean = ops.mean(ops.cast(outputs, self.centre.dtype), axis=0)
            if num_replicas() > 1:
                replicas = tf.distribute.get_replica_context()
                mean = replicas.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
            moved = self.momentum * self.centre + (1 - self.momentum) * mean
            self.centre.assign(moved)
        return centred

    def compute_output_shape(self, outputs_shape):
        """The same shape."""
        return outputs_shape

    def get_config(self):
        """The constructor arguments."""
        return {**super().get_config(), "momentum": self.momentum}
