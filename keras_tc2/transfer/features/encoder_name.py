"""What a report calls an encoder that the user gave no name."""

import re


def encoder_name(encoder):
    """The name its user gave it, or else where it is from, or what it is.

    Names that Keras made up by counting, such as `encoder_1`, tell a reader nothing.

    Args:
        encoder: `keras.Model`, or None where features are given.

    Returns:
        str: the model's own name; the folder or repository that it was loaded from;
        its builder, such as `"convnet"`; the model that was wrapped; or its class.
    """
    if encoder is None:
        return "features"
    if not _is_counted(encoder):
        return encoder.name
    recipe = getattr(encoder, "recipe", None) or {}
    network = getattr(encoder, "network", None)
    wrapped = "" if network is None else network.name.removesuffix("_wrapped")
    names = (getattr(encoder, "source", None), recipe.get("builder"), wrapped)
    return next(filter(None, names), type(encoder).__name__)


def _is_counted(model):
    """Whether Keras made the name of the model from its class and a number."""
    own = getattr(model, "name", None)
    if own is None:
        return True
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(model).__name__).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", own) is not None
