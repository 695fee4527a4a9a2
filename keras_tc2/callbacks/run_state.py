"""What a run is (its configuration) and where it stands (its variables)."""

import json
import re

import keras

from keras_tc2.deprecation import old_arguments_of


def configuration(model, data):
    """Everything that must be the same for a run to be continued.

    Args:
        model: compiled `Pretrainer`.
        data: dict of what describes the data.

    Returns:
        Dict of JSON values by path, such as `"model/encoder/config/width"`.
    """
    optimizers = [optimizer for optimizer, _ in model.optimized_variables]
    described = {
        "data": data,
        "model": {"class": type(model).__name__, **model.get_config()},
        "optimizers": [keras.saving.serialize_keras_object(o) for o in optimizers],
    }
    text = json.dumps(described, default=lambda value: type(value).__name__)
    return dict(_leaves(json.loads(text)))


def variables(model):
    """Every variable of a run by name: weights, seeds, optimizers and metrics.

    Names are paths without the numbers that Keras appends to make layers of one
    session differ, so they do not depend on what else the session built.
    """
    optimizers = [optimizer for optimizer, _ in model.optimized_variables]
    groups = [
        ("model", model.variables),
        *((f"optimizer {n}", o.variables) for n, o in enumerate(optimizers)),
        ("metrics", [v for metric in model.metrics for v in metric.variables]),
    ]
    named, seen = {}, set()
    for group, members in groups:
        for variable in members:
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            name = f"{group}: {_without_number(variable.path)}"
            same = sum(other.split(" #")[0] == name for other in named)
            named[f"{name} #{same + 1}" if same else name] = variable
    return named


def with_new_names(configuration):
    """A `configuration` of an older version, its arguments as they are called now."""
    found = {}
    for path, value in configuration.items():
        owner, config, argument = path.rpartition("/config/")
        registered = configuration.get(f"{owner}/registered_name")
        old = old_arguments_of(keras.saving.get_registered_object(registered))
        name, *rest = argument.split("/")
        found["/".join([owner + config + old.get(name, name), *rest])] = value
    return found


def with_new_facts(configuration, present):
    """A `configuration` of an older version, which kept less of the data.

    What it knows nothing of is taken to be as in the `present` one.
    """
    unknown = tuple(
        fact
        for fact in ("data/augmentation", "data/num_images")
        if not any(path.startswith(fact) for path in configuration)
    )
    new = {path: value for path, value in present.items() if path.startswith(unknown)}
    return new | configuration


def differences(saved, present):
    """One line for each entry of two dicts that is not the same in both."""
    lines = []
    for name in sorted(saved.keys() | present.keys()):
        before, now = (side.get(name, "absent") for side in (saved, present))
        if before != now:
            lines.append(f"{name}: {before} in the checkpoint, {now} now")
    return lines


def _leaves(value, path=""):
    """`(path, leaf)` of a nest of dicts and lists."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            yield from _leaves(part, f"{path}/{key}" if path else str(key))
    else:
        yield path, _without_number(value) if isinstance(value, str) else value


def _without_number(name):
    return re.sub(r"_\d+(?=[_/]|$)", "", name)
