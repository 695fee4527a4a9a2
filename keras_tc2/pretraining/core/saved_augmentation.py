"""The augmentation of a published pretrainer as plain JSON, and back."""

from keras_tc2 import augment
from keras_tc2.hub.config_file import MAX_LIST, check_plain
from keras_tc2.hub.errors import ConfigError

CLASSES = {
    cls.__name__: cls
    for cls in vars(augment).values()
    if isinstance(cls, type) and issubclass(cls, augment.ImageAugmentation)
}
# Arguments that hold augmentations themselves.
PARTS = ("layers", "recipes")
MAX_NESTING = 8
KEYS = {"name", "arguments"}


def described(augmentation):
    """A layer of `keras_tc2.augment`, or a list of such, as JSON values.

    Raises:
        ValueError: if it is anything else, which could not be loaded without running
            code.
    """
    if isinstance(augmentation, list | tuple):
        return [described(part) for part in augmentation]
    if type(augmentation) not in CLASSES.values():
        raise ValueError(
            "Only augmentations of the library are published, made of layers of "
            f"`keras_tc2.augment`. Received: {augmentation!r}. Leave out "
            "`include_pretrainer`, or keep the pretrainer for yourself with "
            '`pretrainer.save("pretrainer.keras")`.'
        )
    arguments = augmentation.get_config()
    for key in ("name", "trainable", "dtype"):
        arguments.pop(key, None)
    for key, value in arguments.items():
        if key in PARTS:
            arguments[key] = described(getattr(augmentation, key))
        else:
            value = list(value) if isinstance(value, tuple) else value
            arguments[key] = check_plain(key, value)
    return {"name": type(augmentation).__name__, "arguments": arguments}


def made(description, nesting=0):
    """The augmentation that `described` wrote; runs nothing but the library's own.

    Raises:
        keras_tc2.hub.ConfigError: if it describes anything else.
    """
    if nesting > MAX_NESTING:
        raise ConfigError("`augmentation` is nested too deeply.")
    if isinstance(description, list) and len(description) <= MAX_LIST:
        return [made(part, nesting + 1) for part in description]
    if not isinstance(description, dict) or set(description) != KEYS:
        raise ConfigError(
            "`augmentation` must hold a name and arguments alone, or a list of these."
        )
    name, arguments = description["name"], description["arguments"]
    if name not in list(CLASSES) or not isinstance(arguments, dict):
        raise ConfigError(
            f"`augmentation` must be made of {', '.join(CLASSES)}. "
            f"Received: {str(name)[:99]}"
        )
    return CLASSES[name](
        **{
            key: made(value, nesting + 1) if key in PARTS else check_plain(key, value)
            for key, value in arguments.items()
        }
    )
