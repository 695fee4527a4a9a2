"""Regularizers: what those of weights add to a loss, and which are refused."""

from keras_tc2.compat import all_layers


def penalty(variables):
    """The sum of what the regularizers of variables say, a scalar; 0.0 for none."""
    return sum((v.regularizer(v) for v in variables if v.regularizer is not None), 0.0)


def check_no_activity_regularizer(layers):
    """Raises `ValueError` for activity regularizers, whose losses Keras drops here.

    Args:
        layers: list of Keras layers, `None` among them left out.
    """
    found = [
        layer.path or layer.name
        for part in layers
        if part is not None
        for layer in all_layers(part)
        if layer.activity_regularizer is not None
    ]
    if found:
        raise ValueError(
            "A pretrainer takes regularizers of weights, such as `kernel_regularizer`, "
            "and none of activities. Make these layers without `activity_regularizer`: "
            f"{', '.join(found)}"
        )


def check_no_regularizer(downstream_head):
    """Raises `ValueError` if a layer, the downstream head, regularizes its weights."""
    variables = downstream_head.trainable_variables
    found = [v.path for v in variables if v.regularizer is not None]
    if found:
        raise ValueError(
            "The downstream head takes no regularizers; give `downstream_weight_decay`."
            f" Make it without those of: {', '.join(found)}"
        )
