"""Refusing layers whose second derivative TensorFlow gets wrong."""

import warnings

from keras_tc2.layers import stock_normalizations


def check_second_order(layers, *, argument, instead, allow_inexact):
    """Checks the layers that are about to be differentiated twice.

    Args:
        layers: list of Keras layers, `None` among them left out.
        argument: str. What asks for second derivatives, such as `"inner_order=2"`.
        instead: str. What to ask for that does not.
        allow_inexact: bool. Whether to warn in place of raising.

    Raises:
        ValueError: if a normalisation among them is a stock one.
    """
    inexact = [
        name
        for layer in layers
        if layer is not None
        for name in stock_normalizations(layer)
    ]
    if not inexact:
        return
    message = (
        f"`{argument}` differentiates these layers twice, and TensorFlow's second "
        f"derivative of them is wrong: {', '.join(inexact)}. Replace them by the exact "
        "ones with `keras_tc2.layers.make_twice_differentiable(model)`, or use "
        f"`{instead}`."
    )
    if not allow_inexact:
        raise ValueError(message + " `allow_inexact=True` goes on regardless.")
    # To the constructor's caller: past this, its own check, and the constructor.
    warnings.warn(message, stacklevel=4)
