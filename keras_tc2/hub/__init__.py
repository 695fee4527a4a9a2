"""Folders to and from the Hub: files, safe reading, card, push and fetch.

Knows no encoder, only a config and weights.
"""

from keras_tc2.hub.card import card_text, write_card
from keras_tc2.hub.config_file import MAX_LIST, check_plain, read_config, write_config
from keras_tc2.hub.errors import (
    ConfigError,
    FolderError,
    HubError,
    NotAnEncoderError,
    UnsafeFileError,
    WeightsError,
)
from keras_tc2.hub.fetch import fetch_folder
from keras_tc2.hub.files import (
    CARD_FILE,
    CLASSIFIER_FOLDER,
    CONFIG_FILE,
    PICTURES_FOLDER,
    PRETRAINER_FOLDER,
    SAFETENSORS_FILE,
    WEIGHTS_FILE,
)
from keras_tc2.hub.push import push_folder
from keras_tc2.hub.safetensors_file import write_safetensors
from keras_tc2.hub.weights import as_model, build_with_weights, save_weights

__all__ = [
    "CARD_FILE",
    "CLASSIFIER_FOLDER",
    "CONFIG_FILE",
    "MAX_LIST",
    "PICTURES_FOLDER",
    "PRETRAINER_FOLDER",
    "SAFETENSORS_FILE",
    "WEIGHTS_FILE",
    "ConfigError",
    "FolderError",
    "HubError",
    "NotAnEncoderError",
    "UnsafeFileError",
    "WeightsError",
    "as_model",
    "build_with_weights",
    "card_text",
    "check_plain",
    "fetch_folder",
    "push_folder",
    "read_config",
    "save_weights",
    "write_card",
    "write_config",
    "write_safetensors",
]


def __dir__() -> list[str]:
    return __all__
