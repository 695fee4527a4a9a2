"""Prototypes: the trainable directions that SwAV and DINO compare embeddings with."""

import keras
from keras import ops

from keras_tc2.checks import integer
from keras_tc2.precision import l2_normalize
from keras_tc2.representation import ShownLayer


@keras.saving.register_keras_serializable(package="keras_tc2")
class Prototypes(ShownLayer):
    """Cosines of embeddings and trainable prototypes.

    A linear layer without bias, on normalised embeddings, whose weights are
    normalised to unit length: the prototypes of SwAV, and the last layer of DINO's
    head.

    Args:
        num_prototypes: int >= 1.

    Call arguments:
        embeddings: float tensor `(batch, dim)`; not normalised.

    Returns:
        Float tensor `(batch, num_prototypes)` in [−1, 1], at least float32.

    Raises:
        ValueError: if `num_prototypes` is below one.

    Example:
    ```python
    import keras
    from keras_tc2.objectives.prototypes import Prototypes

    scores = Prototypes(5)(keras.random.normal((8, 16)))
    ```
    """

    def __init__(self, num_prototypes, **kwargs):
        super().__init__(**kwargs)
        self.num_prototypes = integer("num_prototypes", num_prototypes)

    def build(self, embeddings_shape):
        """Creates the prototypes, once the width of the embeddings is known."""
        self.prototypes = self.add_weight(
            shape=(self.num_prototypes, embeddings_shape[-1]),
            initializer=keras.initializers.RandomNormal(),
            name="prototypes",
        )

    def call(self, embeddings):
        """The cosines."""
        prototypes = l2_normalize(self.prototypes)
        return ops.matmul(l2_normalize(embeddings), ops.transpose(prototypes))

    def compute_output_shape(self, embeddings_shape):
        """`(batch, num_prototypes)`."""
        return (*embeddings_shape[:-1], self.num_prototypes)

    def get_config(self):
        """The constructor arguments."""
        return {**super().get_config(), "num_prototypes": self.num_prototypes}
