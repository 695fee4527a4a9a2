"""Folders to and from the Hub: files, safe reading, card, push and fetch.

Knows no encoder, only a config and weights. Public are the errors; what publishes and
fetches is `Encoder.push_to_hub` and `from_pretrained`.
"""

from keras_tc2.deprecation import old_names
from keras_tc2.hub.errors import (
    ConfigError,
    FolderError,
    HubError,
    NotAnEncoderError,
    UnsafeFileError,
    WeightsError,
)

__all__ = [
    "ConfigError",
    "FolderError",
    "HubError",
    "NotAnEncoderError",
    "UnsafeFileError",
    "WeightsError",
]


def __dir__() -> list[str]:
    return __all__


_PUSH, _FETCH = "`Encoder.push_to_hub`", "`keras_tc2.from_pretrained`"
_SAVE = "`Encoder.save_pretrained`"
_NAME = "the name of the file or folder"

__getattr__ = old_names(
    __name__,
    {
        "CARD_FILE": ("keras_tc2.hub.files", _NAME),
        "CLASSIFIER_FOLDER": ("keras_tc2.hub.files", _NAME),
        "CONFIG_FILE": ("keras_tc2.hub.files", _NAME),
        "MAX_LIST": ("keras_tc2.hub.config_file", "a limit of your own"),
        "PICTURES_FOLDER": ("keras_tc2.hub.files", _NAME),
        "PRETRAINER_FOLDER": ("keras_tc2.hub.files", _NAME),
        "SAFETENSORS_FILE": ("keras_tc2.hub.files", _NAME),
        "WEIGHTS_FILE": ("keras_tc2.hub.files", _NAME),
        "as_model": ("keras_tc2.hub.weights", _SAVE),
        "build_with_weights": ("keras_tc2.hub.weights", _FETCH),
        "card_text": ("keras_tc2.hub.card", _PUSH),
        "check_plain": ("keras_tc2.hub.config_file", "a check of your own"),
        "fetch_folder": ("keras_tc2.hub.fetch", _FETCH),
        "push_folder": ("keras_tc2.hub.push", _PUSH),
        "read_config": ("keras_tc2.hub.config_file", _FETCH),
        "save_weights": ("keras_tc2.hub.weights", _SAVE),
        "write_card": ("keras_tc2.hub.card", _PUSH),
        "write_config": ("keras_tc2.hub.config_file", _SAVE),
        "write_safetensors": (
            "keras_tc2.hub.safetensors_file",
            "`Encoder.push_to_hub(safetensors=True)`",
        ),
    },
)
