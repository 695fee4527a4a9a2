"""Parts of a pretrainer as plain JSON, and back: nothing but the library's own."""

from keras_tc2.hub.config_file import MAX_LIST, check_plain
from keras_tc2.hub.errors import ConfigError

# Of a part's config, what Keras takes care of.
KERAS_KEYS = ("name", "trainable", "dtype")
KEYS = {"name", "arguments"}
MAX_NESTING = 8
WITHOUT = (
    "Leave out `include_pretrainer`, or keep the pretrainer for yourself with "
    '`pretrainer.save("pretrainer.keras")`.'
)


def described(part, classes, *, only, nested=(), one_of=()):
    """A part as JSON values, by the name of its class and its arguments.

    Args:
        part: an object with a `get_config`; where there are `nested` arguments, also a
            list of such.
        classes: collection of the classes it may be of, exactly.
        only: str, what the error says of these.
        nested: names of arguments that hold such parts themselves.
        one_of: dict from the name of an argument that may hold a part of other classes
            to these; none by default.

    Raises:
        ValueError: if it is of another class, a list of parts is too long, or an
            argument is not a number, string or list of these: such could not be loaded
            without running code.
    """

    def inner(part):
        return described(part, classes, only=only, nested=nested)

    if nested and isinstance(part, list | tuple):
        if len(part) > MAX_LIST:
            raise ValueError(
                f"At most {MAX_LIST} {' or '.join(nested)} are published. Received: "
                f"{len(part)}. {WITHOUT}"
            )
        return [inner(each) for each in part]
    if type(part) not in classes:
        raise ValueError(f"Only {only}. Received: {part!r}. {WITHOUT}")

    def argument(key, value):
        if key in nested:
            return inner(getattr(part, key))
        if key in one_of and isinstance(value, dict):
            return described(getattr(part, key), one_of[key], only=only)
        return plain(key, value)

    arguments = {
        key: argument(key, value)
        for key, value in part.get_config().items()
        if key not in KERAS_KEYS
    }
    return {"name": type(part).__name__, "arguments": arguments}


def made(name, description, classes, *, nested=(), one_of=(), depth=0):
    """The part that `described` wrote; builds objects of `classes` alone.

    Args:
        name: str, what errors call it.
        description: what the JSON holds, whoever wrote it.
        classes: as of `described`.
        nested: as of `described`.
        one_of: as of `described`.
        depth: int, how many parts it is within.

    Raises:
        keras_tc2.hub.ConfigError: if it describes anything else.
    """

    def inner(description):
        return made(name, description, classes, nested=nested, depth=depth + 1)

    if depth > MAX_NESTING:
        raise ConfigError(f"`{name}` is nested too deeply.")
    if nested and isinstance(description, list) and len(description) <= MAX_LIST:
        return [inner(each) for each in description]
    if not isinstance(description, dict) or set(description) != KEYS:
        or_list = ", or a list of these" if nested else ""
        raise ConfigError(f"`{name}` must hold a name and arguments alone{or_list}.")
    by_name = {cls.__name__: cls for cls in classes}
    # A list, since what stands there may be nothing that hashes.
    if description["name"] not in list(by_name):
        raise ConfigError(
            f"`{name}` must be {'made' if nested else 'one'} of {', '.join(by_name)}. "
            f"Received: {str(description['name'])[:99]}"
        )

    def argument(key, value):
        if key in nested:
            return inner(value)
        if key in one_of and isinstance(value, dict):
            return made(key, value, one_of[key])
        return check_plain(key, value)

    arguments = {
        key: argument(key, value)
        for key, value in checked_object(name, description["arguments"]).items()
    }
    return by_name[description["name"]](**arguments)


def plain(key, value):
    """An argument as JSON holds it; `ConfigError` if it is no plain value."""
    return check_plain(key, list(value) if isinstance(value, tuple) else value)


def checked_object(name, value):
    """`value`, if it is a JSON object; `ConfigError` if not."""
    if not isinstance(value, dict):
        raise ConfigError(f"`{name}` must be a JSON object.")
    return value
