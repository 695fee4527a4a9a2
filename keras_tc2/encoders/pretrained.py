"""Encoders to and from folders: `config.json` and `model.weights.h5`."""

import operator
import os
import pathlib
import tempfile

import keras
import tensorflow as tf

from keras_tc2.encoders.arguments import MAX_CHANNELS, image_shape
from keras_tc2.encoders.encoder import Encoder, checked_value_range
from keras_tc2.encoders.recipe import network_of
from keras_tc2.encoders.registry import builder_named, complete_arguments
from keras_tc2.hub import files
from keras_tc2.hub.config_file import check_plain, read_config, write_config
from keras_tc2.hub.errors import ConfigError
from keras_tc2.hub.weights import build_with_weights, save_weights
from keras_tc2.version import __version__

CONFIG_KEYS = [
    "builder",
    "arguments",
    "input_size",
    "channels",
    "value_range",
    "preprocessing",
    "feature_dim",
    "weights_sha256",
    "versions",
    "training",
]
# Of what lies beside an encoder: the checksum of the weights that it belongs to.
ENCODER_KEY = "encoder_sha256"


def save_pretrained(encoder, folder):
    """Writes an encoder to a folder; see `Encoder.save_pretrained`.

    Returns:
        str, the SHA-256 of its weights, which what belongs to the encoder keeps.
    """
    if encoder.recipe is None:
        raise ValueError(
            f"Encoder {encoder.name!r} wraps a model that was built elsewhere, and a "
            "pretrained folder holds no architecture, since loading one could run "
            "code. Register a function that builds the model, with "
            "`@keras_tc2.encoders.register(name)`, and create the encoder by that "
            "name (see `keras_tc2.encoders.register`). For your own use alone, "
            '`encoder.save("encoder.keras")` keeps it whole.'
        )
    folder = pathlib.Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as unfinished:
        # The network alone: a compiled encoder would add its optimizer.
        weights_sha256 = save_weights(encoder.network, unfinished)
        write_config(unfinished, files.CONFIG_FILE, _config(encoder, weights_sha256))
        for name in (files.WEIGHTS_FILE, files.CONFIG_FILE):
            os.replace(pathlib.Path(unfinished, name), folder / name)
    return weights_sha256


def load_folder(folder, *, source, trainable):
    """Reads an encoder from a folder that `save_pretrained` wrote.

    Builds by the registry, from checked arguments, and only then reads weights.

    Args:
        folder: path.
        source: str or path that the user gave, which reports call the encoder by.
        trainable: bool. Whether the weights train.
    """
    config = read_config(folder, files.CONFIG_FILE, keys=CONFIG_KEYS)
    recipe, value_range = _checked_recipe(config)
    encoder = build_with_weights(
        lambda: Encoder(**network_of(recipe), value_range=value_range),
        folder,
        sha256=config["weights_sha256"],
        model_of=operator.attrgetter("network"),
    )
    if encoder.feature_dim != config["feature_dim"]:
        raise ConfigError(
            f"The config says {config['feature_dim']} features; its encoder gives "
            f"{encoder.feature_dim}."
        )
    encoder.training_record = config["training"]
    encoder.source = str(source)
    encoder.trainable = trainable
    return encoder


def check_encoder(folder, part, config):
    """Raises `ConfigError` if a part was written for another encoder than lies there.

    Args:
        folder: path of the encoder's folder.
        part: str, the folder in it that holds the part.
        config: dict, the part's config; one without `encoder_sha256` is older than this
            check.
    """
    encoder = read_config(folder, files.CONFIG_FILE, keys=CONFIG_KEYS)
    if config.get(ENCODER_KEY, encoder["weights_sha256"]) != encoder["weights_sha256"]:
        raise ConfigError(
            f"{pathlib.Path(folder, part)} belongs to another encoder than the one in "
            f"{folder}, which was saved there since. Save the two together, or load "
            "the encoder alone with `keras_tc2.from_pretrained`."
        )


def _config(encoder, weights_sha256):
    recipe = encoder.recipe
    height, width, channels = recipe["input_shape"]
    arguments = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in recipe["arguments"].items()
    }
    for key, value in arguments.items():
        check_plain(key, value)
    return {
        "builder": recipe["builder"],
        "arguments": arguments,
        "input_size": [height, width],
        "channels": channels,
        "value_range": encoder.value_range and list(encoder.value_range),
        "preprocessing": {
            "channel_mean": recipe["channel_mean"],
            "channel_std": recipe["channel_std"],
        },
        "feature_dim": encoder.feature_dim,
        "weights_sha256": weights_sha256,
        "versions": {
            "keras_tc2": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        "training": encoder.training_record,
    }


def _checked_recipe(config):
    """The recipe that a stranger's config describes, and its value range."""
    name = check_plain("builder", config["builder"])
    size, preprocessing = config["input_size"], config["preprocessing"]
    if not isinstance(size, list) or len(size) != 2:
        raise ConfigError(f"`input_size` must be [height, width], not {size!r}.")
    statistics = ["channel_mean", "channel_std"]
    if not isinstance(preprocessing, dict) or sorted(preprocessing) != statistics:
        raise ConfigError(f"`preprocessing` must hold {statistics} alone.")
    if not isinstance(config["arguments"], dict):
        raise ConfigError("`arguments` must be a JSON object.")
    training = config["training"]
    if training is not None and not isinstance(training, dict):
        raise ConfigError("`training` must be a JSON object or null.")
    arguments = {
        key: check_plain(key, value) for key, value in config["arguments"].items()
    }
    try:
        builder_named(name)
        recipe = {
            "builder": name,
            "input_shape": list(image_shape([*size, config["channels"]])),
            "arguments": complete_arguments(name, arguments),
            **{key: _statistics(key, preprocessing[key]) for key in statistics},
        }
        value_range = checked_value_range(
            _statistics("value_range", config["value_range"])
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{files.CONFIG_FILE}: {error}") from error
    return recipe, value_range


def _statistics(name, values):
    if values is None:
        return None
    return _numbers(check_plain(name, values, max_length=MAX_CHANNELS))


def _numbers(values):
    if not isinstance(values, list) or not all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    ):
        raise ValueError(f"a list of numbers is needed, not {str(values)[:99]}")
    return values
