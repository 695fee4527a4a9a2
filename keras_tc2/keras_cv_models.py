"""What the library takes of KerasCV, which is imported when a model of it is made.

Nothing else imports KerasCV, and `tests/keras_cv_models_test.py` holds what is relied
on, so that an upgrade that renames it is seen at once.
"""

# Each class that is used, and the module of KerasCV that it stands in.
CLASSES = {
    "AnchorGenerator": "layers",
    "EfficientNetV2Backbone": "models",
    "MobileNetV3Backbone": "models",
    "RetinaNet": "models",
}


def keras_cv_class(name):
    """A class of KerasCV.

    Args:
        name: str, one of `CLASSES`.

    Returns:
        The class.

    Raises:
        ImportError: if KerasCV is not installed, fails to import, or has no such class.
    """
    try:
        import keras_cv

        return getattr(getattr(keras_cv, CLASSES[name]), name)
    except Exception as error:
        raise ImportError(
            f"keras_cv.{CLASSES[name]}.{name} cannot be imported "
            f"({type(error).__name__}: {error}). Install KerasCV in a version that "
            "keras-tc2 requires: pip install --upgrade keras-cv"
        ) from error
