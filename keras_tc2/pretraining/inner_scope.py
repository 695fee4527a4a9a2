"""What the inner step adapts: the projector alone, or the encoder with it."""

import tensorflow as tf

from keras_tc2.layers.moments import local_statistics
from keras_tc2.pretraining.forward import call_layers, map_groups


class ProjectorScope:
    """Fast weights of projector and head; one encoder pass serves all tasks.

    Args:
        encoder: an `Encoder`.
        projector: a built Keras layer.
        head: the built head of the objective, or `None`.
    """

    # A projector is a few matrix products, so all tasks run as one batched product.
    vectorized = True

    def __init__(self, encoder, projector, head):
        self.to_embeddings = [projector]
        self.head = [head] if head is not None else []

    @property
    def layers(self):
        """The adapted layers, in the order in which they are called."""
        return [*self.to_embeddings, *self.head]

    def weights(self):
        """θ: the current values of the adapted variables, as tensors."""
        return [
            tf.convert_to_tensor(variable)
            for layer in self.layers
            for variable in layer.trainable_variables
        ]

    def inputs(self, forward):
        """What of a batch `embed` starts from, a list with one tensor a view."""
        return forward.features

    def embed(self, weights, inputs, groups, training):
        """Embeddings of every view under the given weights.

        The layers' own state is left alone.
        """
        weights = weights[: _count(self.to_embeddings)]
        return _local_map(self.to_embeddings, weights, inputs, groups, training)

    def outputs(self, weights, embeddings, groups, training):
        """Outputs of the head under the given weights, from (calibrated) embeddings."""
        if not self.head:
            return embeddings
        weights = weights[_count(self.to_embeddings) :]
        return _local_map(self.head, weights, embeddings, groups, training)


class EncoderScope(ProjectorScope):
    """Fast weights of encoder, projector and head; every task is encoded anew."""

    vectorized = False

    def __init__(self, encoder, projector, head):
        super().__init__(encoder, projector, head)
        self.to_embeddings = [encoder.network, projector]

    def inputs(self, forward):
        """What of a batch `embed` starts from, a list with one tensor a view."""
        return forward.views


def _local_map(layers, weights, inputs, groups, training):
    """Calls layers group by group, with batch statistics of this replica's task."""
    with local_statistics():
        return map_groups(
            lambda x: call_layers(layers, weights, x, training=training),
            inputs,
            groups,
        )


def _count(layers):
    return sum(len(layer.trainable_variables) for layer in layers)


SCOPES = {"projector": ProjectorScope, "encoder": EncoderScope}
