"""What the inner step adapts: the projector alone, or the encoder with it."""

import tensorflow as tf

from keras_tc2.layers.moments import local_statistics
from keras_tc2.pretraining.core.forward import call_layers, map_groups


class ProjectorScope:
    """Fast weights of projector and head; one encoder pass serves all tasks.

    Its layers stand in three groups: to the features, the embeddings, the outputs.

    Args:
        encoder: an `Encoder`.
        projector: a built Keras layer.
        head: the built head of the objective, or `None`.
    """

    # A projector is a few matrix products, so all tasks run as one batched product.
    vectorized = True

    def __init__(self, encoder, projector, head):
        self.to_features = []
        self.to_embeddings = [projector]
        self.to_outputs = [head] if head is not None else []

    @property
    def layers(self):
        """The adapted layers, in the order in which they are called."""
        return [*self.to_features, *self.to_embeddings, *self.to_outputs]

    def layers_after(self, part):
        """The layers from `"features"` or `"embeddings"` to the outputs."""
        return [*self.to_embeddings * (part == "features"), *self.to_outputs]

    def weights(self):
        """θ: the current values of the adapted variables, as tensors."""
        return [
            tf.convert_to_tensor(variable)
            for layer in self.layers
            for variable in layer.trainable_variables
        ]

    def inputs(self, forward):
        """What of a batch `outputs` starts from, a list with one tensor a view."""
        return forward.features

    def outputs(self, weights, inputs, groups, training, *, calibrate=None):
        """Outputs of the head for every view under the given weights.

        The layers' own state is left alone.

        Args:
            weights: list of tensors, as `weights()` gives.
            inputs: list of tensors, one a view, as `inputs` gives.
            groups: list of ints, see `map_groups`.
            training: bool.
            calibrate: dict from `"features"` or `"embeddings"` to what is done to
                them, a function of a tensor `(views * batch, dim)`; `None` for
                nothing. Defaults to `None`.
        """
        parts = {
            "features": self.to_features,
            "embeddings": self.to_embeddings,
            "outputs": self.to_outputs,
        }
        results = inputs
        for name, layers in parts.items():
            count = sum(len(layer.trainable_variables) for layer in layers)
            if layers:
                own, weights = weights[:count], weights[count:]
                results = _local_map(layers, own, results, groups, training)
            if name in (calibrate or {}):
                results = map_groups(calibrate[name], results, groups)
        return results


class EncoderScope(ProjectorScope):
    """Fast weights of encoder, projector and head; every task is encoded anew."""

    vectorized = False

    def __init__(self, encoder, projector, head):
        super().__init__(encoder, projector, head)
        self.to_features = [encoder.network]

    def inputs(self, forward):
        """What of a batch `outputs` starts from, a list with one tensor a view."""
        return forward.views


def _local_map(layers, weights, inputs, groups, training):
    """Calls layers group by group, with batch statistics of this replica's task."""
    with local_statistics():
        return map_groups(
            lambda x: call_layers(layers, weights, x, training=training),
            inputs,
            groups,
        )


SCOPES = {"projector": ProjectorScope, "encoder": EncoderScope}
