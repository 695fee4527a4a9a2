"""How far the embeddings of a step spread: what a collapse is seen by."""

from keras import ops

from keras_tc2.precision import l2_normalize
from keras_tc2.pretraining.core.mean_or_nan import MeanOrNaN
from keras_tc2.replicas import num_replicas, sum_over_replicas


class EmbeddingStd(MeanOrNaN):
    """The mean of `relative_std` over the steps of an epoch; NaN if there is none."""

    def __init__(self, name="embedding_std"):
        super().__init__(name=name)

    def update_state(self, embeddings, counts):
        """Takes the embeddings of a step.

        Args:
            embeddings: float tensor `(batch, dim)`, of one replica.
            counts: bool tensor, the same on all replicas: whether the step counts.
        """
        if embeddings.shape[0] * num_replicas() < 2:
            return  # One image has no spread, whatever the model is.
        weight = ops.cast(counts, "float32")
        spread = ops.where(counts, ops.cast(relative_std(embeddings), "float32"), 0.0)
        super().update_state(spread, sample_weight=weight)


def relative_std(embeddings):
    """Standard deviation of l2-normalised embeddings, over that of an even spread.

    As `transfer.geometry.relative_std`, of the images of all replicas together:
    near 1 when directions fill the sphere, 0 when all images give the same.

    Args:
        embeddings: float tensor `(batch, dim)`, of one replica.

    Returns:
        Scalar tensor in [0, 1], the same on all replicas.
    """
    embeddings = l2_normalize(ops.stop_gradient(embeddings))
    mean = ops.mean(embeddings, axis=0)
    variance = ops.mean(ops.square(embeddings - mean), axis=0)
    if num_replicas() > 1:
        # Within the replicas, and between them.
        sums = sum_over_replicas([variance, mean, ops.square(mean)])
        variance, mean, square = (total / num_replicas() for total in sums)
        variance = variance + ops.maximum(square - ops.square(mean), 0)
    return ops.mean(ops.sqrt(variance)) * embeddings.shape[-1] ** 0.5
