"""Whether encoders are weights of one network, so that their weights may be mixed."""

import keras
import numpy as np

from keras_tc2.transfer.features.extraction import resolved

# What differs between two encoders of one architecture: names are counted by Keras,
# freezing is a matter of training.
IGNORED = {
    "name",
    "trainable",
    "frozen_layers",
    "compile_config",
    "build_config",
    "seed",
}

# Kernels of independent random starts are nearly orthogonal. No fine-tuning that is
# worth merging turns them so far.
SMALLEST_COSINE = 0.1


def same_architecture(encoders, *, base=None, at_least=2):
    """The encoders, if their weights may be mixed.

    Args:
        encoders: list of `keras.Model`s, folders or Hub repositories.
        base: the pre-trained encoder they were fine-tuned from, likewise, or `None`
            where the method does without. Defaults to `None`.
        at_least: int. The fewest encoders. Defaults to `2`.

    Returns:
        `(base, encoders)`, loaded where they were names.

    Raises:
        ValueError: if there are too few; two differ in architecture, of which the first
            difference is named; one has weights that are not finite; or two cannot be
            of one origin, since their kernels are nearly orthogonal.
    """
    if not isinstance(encoders, list | tuple) or len(encoders) < at_least:
        raise ValueError(
            f"`encoders` must be a list of at least {at_least} encoders. Received: "
            f"{encoders!r}"
        )
    encoders = [resolved(encoder) for encoder in encoders]
    named = {f"encoder {i}": encoder for i, encoder in enumerate(encoders)}
    if base is not None:
        base = resolved(base)
        named = {"the base": base, **named}
    for name, encoder in named.items():
        if not isinstance(encoder, keras.Model):
            raise ValueError(
                "Encoders must be keras.Models, or folders or Hub repositories of "
                f"saved encoders. As {name} came: {encoder!r}"
            )
        _check_finite(name, encoder)
    (first, reference), *others = named.items()
    for name, encoder in others:
        difference = _first_difference(_config(reference), _config(encoder))
        difference = difference or _first_shape(reference, encoder)
        if difference:
            raise ValueError(
                f"Only encoders of one architecture can be merged: {first} and {name} "
                f"differ in {difference}."
            )
        cosine = _cosine(reference, encoder)
        if cosine < SMALLEST_COSINE:
            raise ValueError(
                "Only encoders fine-tuned from one pre-trained encoder can be merged: "
                f"the kernels of {first} and {name} have a cosine of {cosine:.2f}, as "
                "those of independent starts. Fine-tune both from the same weights."
            )
    return base, encoders


def _config(encoder):
    config = keras.saving.serialize_keras_object(encoder)
    numbers = {}
    _count_names(config, numbers)
    return _without_names(config, numbers)


def _count_names(node, numbers):
    """Numbers the names of layers in the order in which they come."""
    if isinstance(node, dict):
        if isinstance(node.get("name"), str):
            numbers.setdefault(node["name"], f"layer {len(numbers)}")
        for value in node.values():
            _count_names(value, numbers)
    elif isinstance(node, list | tuple):
        for value in node:
            _count_names(value, numbers)


def _without_names(node, numbers):
    if isinstance(node, dict):
        return {
            key: _without_names(value, numbers)
            for key, value in node.items()
            if key not in IGNORED
        }
    if isinstance(node, list | tuple):
        return [_without_names(value, numbers) for value in node]
    return numbers.get(node, node) if isinstance(node, str) else node


def _first_difference(a, b, path=""):
    """Words for where two configurations part, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            # `config` stands at every second step and tells a reader nothing.
            inner = path if key == "config" else f"{path}.{key}".lstrip(".")
            found = _first_difference(a.get(key), b.get(key), inner)
            if found:
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and _holds_dicts(a + b):
        for i, (left, right) in enumerate(zip(a, b, strict=False)):
            found = _first_difference(left, right, f"{path}[{i}]")
            if found:
                return found
        if len(a) != len(b):
            return f"the number of {path}: {len(a)} and {len(b)}"
        return None
    return None if a == b else f"{path}: {a!r} and {b!r}"


def _holds_dicts(nodes):
    return any(isinstance(node, dict) for node in nodes)


def _first_shape(a, b):
    for left, right in zip(a.weights, b.weights, strict=False):
        if tuple(left.shape) != tuple(right.shape):
            return f"the shape of {left.path}: {left.shape} and {right.shape}"
    if len(a.weights) != len(b.weights):
        return f"the number of weights: {len(a.weights)} and {len(b.weights)}"
    return None


def _check_finite(name, encoder):
    for variable in encoder.weights:
        if not np.isfinite(np.asarray(variable, "float32")).all():
            raise ValueError(
                f"{variable.path} of {name} holds NaN or infinite values: it has "
                "diverged, and would spoil what it is merged with."
            )


def _cosine(a, b):
    """Cosine between the kernels of two encoders; 1 where they have none."""
    kernels = [
        [np.asarray(v, "float64").ravel() for v in encoder.weights if len(v.shape) > 1]
        for encoder in (a, b)
    ]
    if not kernels[0]:
        return 1.0
    a, b = (np.concatenate(parts) for parts in kernels)
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm else 1.0
