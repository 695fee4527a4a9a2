"""Refusing regularizers that a pretrainer would not heed."""

from keras_tc2.compat import all_layers


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


def check_no_regularizer(variables, *, instead):
    """Raises `ValueError` if weights have regularizers.

    Args:
        variables: list of `keras.Variable`s.
        instead: str, what there is instead.
    """
    found = [v.path for v in variables if v.regularizer is not None]
    if found:
        raise ValueError(
            f"BiSSL takes no regularizers of weights; {instead}. Set `weight."
            f"regularizer = None` of these: {', '.join(found)}"
        )
