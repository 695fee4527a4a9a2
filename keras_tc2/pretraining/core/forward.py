"""How views pass through layers: grouped by size, as functions of given weights."""

import dataclasses

import keras
from keras import ops

from keras_tc2.augment.resampling import resize


@dataclasses.dataclass(frozen=True)
class Forward:
    """What one pass of a batch through the model gave.

    Every list holds a tensor `(batch, ...)` a view, in the order of the views.

    Args:
        views: what the encoder saw.
        groups: list of ints, how many views in a row went through it together.
        features: outputs of the encoder.
        embeddings: outputs of the projector.
        outputs: outputs of the objective's head; the embeddings if it has none.
        targets: list of what the objective compares them with, or `None`.
    """

    views: list
    groups: list
    features: list
    embeddings: list
    outputs: list
    targets: list | None

    @property
    def first_two_embeddings(self):
        """The embeddings of two views; the same twice if there is but one."""
        return first_two(self.embeddings)


def first_two(views):
    """The first two of a list; the same twice if there is but one."""
    return views[0], views[min(1, len(views) - 1)]


def group_sizes(views):
    """How many views in a row have the same shape: `[2, 6]` for 2 global, 6 local.

    Batch statistics are those of such a group, as in the multi-crop of DINO.
    """
    sizes = []
    for position, view in enumerate(views):
        if position and view.shape == views[position - 1].shape:
            sizes[-1] += 1
        else:
            sizes.append(1)
    return sizes


def map_groups(function, tensors, groups):
    """Applies a function to each group's tensors as one batch.

    Args:
        function: callable from a tensor `(views * batch, ...)` to another.
        tensors: list of tensors `(batch, ...)`, one a view.
        groups: list of ints that sum to the number of tensors.

    Returns:
        List of tensors `(batch, ...)`, one a view.
    """
    results, start = [], 0
    for size in groups:
        group = tensors[start : start + size]
        start += size
        if size == 1:
            results.append(function(group[0]))
        else:
            together = function(ops.concatenate(group, axis=0))
            results += ops.split(together, size, axis=0)
    return results


def resize_to_fit(view, image_shape):
    """The view in the encoder's size, antialiased; as it is if that is free."""
    size = image_shape[:2]
    if None in size or tuple(view.shape[1:3]) == tuple(size):
        return view
    return resize(view, size)


def call_layers(layers, weights, x, *, training):
    """Calls layers in turn with the given trainable weights.

    The layers' own variables are left alone, and what training would do to their
    non-trainable state is dropped.

    Args:
        layers: list of built Keras layers.
        weights: list of tensors, aligned with the trainable variables of all layers.
        x: input of the first layer.
        training: bool.

    Returns:
        Output of the last layer.
    """
    for layer in layers:
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        count = len(layer.trainable_variables)
        values, weights = weights[:count], weights[count:]
        values = [*values, *(v.value for v in layer.non_trainable_variables)]
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            x = layer(x, training=training)
    return x


def assigned(scope, variables):
    """What a pass within a `StatelessScope` did to variables.

    Returns:
        List of `(variable, value)`, of those that were assigned.
    """
    values = [(variable, scope.get_current_value(variable)) for variable in variables]
    return [(variable, value) for variable, value in values if value is not None]
