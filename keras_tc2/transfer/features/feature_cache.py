"""Features on disk, found again by the content of the encoder and of the images."""

import hashlib
import json
import os
import pathlib
import uuid

import keras
import numpy as np
import tensorflow as tf

from keras_tc2.transfer.features.extraction import batched_images


class FeatureCache:
    """Keeps features and labels in a folder, one `.npz` an encoder and split.

    The key is a hash of the encoder's architecture and weights and of every pixel and
    label, so nothing stale is ever read: images or weights that changed are another
    entry. Hashing reads the images once; encoding is what is saved.

    Args:
        folder: path. Created when it does not exist.
        extract: callable `(images) -> (features, labels)`, asked on a miss.
        encoder: the `keras.Model` that `extract` uses.

    Raises:
        ValueError: if the encoder cannot be described: a subclassed model without
            `get_config`.
    """

    def __init__(self, folder, *, extract, encoder):
        self.folder = pathlib.Path(folder).expanduser()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._extract = extract
        self._encoder_hash = encoder_hash(encoder)

    def __call__(self, images):
        """Features and labels of a dataset of `(image, label)`."""
        key = f"{self._encoder_hash[:24]}-{images_hash(images)[:24]}"
        path = self.folder / f"{key}.npz"
        if path.exists():
            with np.load(path) as entry:
                return entry["features"], entry["labels"]
        features, labels = self._extract(images)
        # A reader never sees half a file.
        partial = path.with_name(f"{uuid.uuid4().hex}.part")
        with partial.open("wb") as file:
            np.savez(file, features=features, labels=labels)
        os.replace(partial, path)
        return features, labels


def encoder_hash(encoder):
    """SHA-256 of a model's configuration and weights, as hexadecimal text."""
    try:
        config = keras.saving.serialize_keras_object(encoder)
    except NotImplementedError as error:
        raise ValueError(
            f"The encoder {encoder.name!r} cannot be described for the cache: give "
            "its class a `get_config`, or leave `cache_dir` out."
        ) from error
    config.pop("compile_config", None)
    text = json.dumps(_without_names(config), sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode())
    for variable in encoder.variables:
        _add(digest, np.asarray(variable))
    return digest.hexdigest()


def _without_names(config):
    """The configuration with every layer's name replaced by its position.

    Keras numbers unnamed layers as they are made, so equal models differ in names.
    """
    positions = {}

    def collect(value):
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                positions.setdefault(value["name"], f"layer {len(positions)}")
            for key in sorted(value):
                collect(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                collect(item)

    def replaced(value):
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [replaced(item) for item in value]
        return positions.get(value, value) if isinstance(value, str) else value

    collect(config)
    return replaced(config)


def images_hash(images):
    """SHA-256 of every element of a dataset of images, as hexadecimal text."""
    digest = hashlib.sha256()
    for batch in batched_images(images, 256):
        for part in tf.nest.flatten(batch):
            _add(digest, part.numpy())
    return digest.hexdigest()


def _add(digest, array):
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
