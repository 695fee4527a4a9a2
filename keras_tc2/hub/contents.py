"""Saying what a folder or repository holds, when it is not ours."""

from keras_tc2.hub.files import CONFIG_FILE

_SHOWN = 6


def describe(names):
    """What a folder with files of these names looks like, in a few words.

    Args:
        names: list of str, paths inside the folder.

    Returns:
        str, such as `"a PyTorch model"`.
    """
    names = sorted(names)
    endings = {name.rsplit(".", 1)[-1].lower() for name in names if "." in name}
    if not [name for name in names if name not in (".gitattributes", "README.md")]:
        return "an empty repository"
    if any(name.endswith("saved_model.pb") for name in names):
        return "a TensorFlow SavedModel"
    if "keras" in endings or "metadata.json" in names or "h5" in endings:
        return "a Keras model that keras_tc2 did not write"
    if endings & {"bin", "pt", "pth", "safetensors", "ckpt"}:
        return "a PyTorch model"
    if CONFIG_FILE in names:
        return f"the {CONFIG_FILE} of another library"
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"a folder of {', '.join(names[:_SHOWN])}{rest}"
