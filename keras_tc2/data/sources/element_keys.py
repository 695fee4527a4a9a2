"""Which parts of a record are the image and the label."""

import tensorflow as tf

IMAGE_KEYS = ("image", "img", "images", "pixel_values", "picture", "x", "image/encoded")
LABEL_KEYS = ("label", "labels", "fine_label", "y", "target", "image/class/label")


def choose_key(kind, asked, known, usual):
    """The key of the image or label among the keys of a record.

    Args:
        kind: `"image"` or `"label"`.
        asked: what the user passed as `image_key` or `label_key`, or `None`.
        known: the keys that the source has.
        usual: the names to try when none was passed.

    Raises:
        ValueError: if the key does not exist or cannot be told.
    """
    known = list(known)
    if asked is not None:
        if asked not in known:
            raise ValueError(
                f"`{kind}_key` must be one of {known}. Received: {kind}_key={asked!r}"
            )
        return asked
    for key in usual:
        if key in known:
            return key
    raise ValueError(
        f"The source holds {known}, and which is the {kind} cannot be told: pass "
        f"`{kind}_key`."
    )


def as_image_and_label(element_spec, request):
    """How to take image and label from an element, as a function of the element.

    Args:
        element_spec: spec of an image, a pair (image, label), or a dict.
        request: `Request`.

    Returns:
        Function from the element, as `Dataset.map` passes it, to `image` or, where
        labels are asked for, `(image, label)`.
    """
    if isinstance(element_spec, dict):
        image_key = choose_key("image", request.image_key, element_spec, IMAGE_KEYS)
        if not request.labels:
            return lambda element: element[image_key]
        label_key = choose_key("label", request.label_key, element_spec, LABEL_KEYS)
        return lambda element: (element[image_key], element[label_key])
    for name in ("image_key", "label_key"):
        if (key := getattr(request, name)) is not None:
            raise ValueError(
                f"`{name}` is for elements that are dicts. Received: {name}={key!r}, "
                f"and elements {element_spec}"
            )
    if isinstance(element_spec, tf.TensorSpec):
        if request.labels:
            raise ValueError(
                "`labels=True` needs a dataset of (image, label). Received elements "
                f"{element_spec}"
            )
        return lambda image: image
    if isinstance(element_spec, tuple) and len(element_spec) == 2:
        if request.labels:
            return lambda image, label: (image, label)
        return lambda image, label: image
    raise ValueError(
        "A dataset must yield images, pairs (image, label), or dicts of them. Received "
        f"elements {element_spec}"
    )
