"""What the inner step adapts: the projector alone, or the encoder with it."""

from keras import ops


class ProjectorScope:
    """Fast weights of the projector; the features of one encoder pass serve all tasks.

    Args:
        encoder: an `Encoder`.
        projector: a built Keras layer.
    """

    # A projector is a few matrix products, so all tasks run as one batched product.
    vectorized = True

    def __init__(self, encoder, projector):
        self.layers = [projector]

    def weights(self):
        """θ: the current values of the adapted variables, as tensors."""
        return [
            ops.convert_to_tensor(variable)
            for layer in self.layers
            for variable in layer.trainable_variables
        ]

    def inputs(self, views, features):
        """What of a batch `embed` starts from."""
        return features

    def embed(self, weights, inputs, training):
        """Embeddings under the given weights; the layers' own state is left alone."""
        x = inputs
        for layer in self.layers:
            count = len(layer.trainable_variables)
            own, weights = weights[:count], weights[count:]
            state = [variable.value for variable in layer.non_trainable_variables]
            x, _ = layer.stateless_call(own, state, x, training=training)
        return x


class EncoderScope(ProjectorScope):
    """Fast weights of encoder and projector; every task is encoded anew."""

    vectorized = False

    def __init__(self, encoder, projector):
        super().__init__(encoder, projector)
        self.layers = [encoder.network, projector]

    def inputs(self, views, features):
        """What of a batch `embed` starts from."""
        return views


SCOPES = {"projector": ProjectorScope, "encoder": EncoderScope}
