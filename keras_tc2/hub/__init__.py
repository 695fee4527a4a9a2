"""Folders to and from the Hub: files, safe reading, card, push and fetch.

Knows no encoder, only a config and weights.
"""

from keras_tc2.hub.config_file import check_plain, read_config, write_config
from keras_tc2.hub.errors import (
    ConfigError,
    FolderError,
    HubError,
    NotAnEncoderError,
    UnsafeFileError,
    WeightsError,
)
from keras_tc2.hub.files import (
    CONFIG_FILE,
    MAX_WEIGHTS_BYTES,
    WEIGHTS_FILE,
    safe_path,
    sha256,
)
from keras_tc2.hub.weights_file import (
    check_finite,
    check_size,
    check_tensors,
    tensor_shapes,
)

__all__ = [
    "CONFIG_FILE",
    "MAX_WEIGHTS_BYTES",
    "WEIGHTS_FILE",
    "ConfigError",
    "FolderError",
    "HubError",
    "NotAnEncoderError",
    "UnsafeFileError",
    "WeightsError",
    "check_finite",
    "check_plain",
    "check_size",
    "check_tensors",
    "read_config",
    "safe_path",
    "sha256",
    "tensor_shapes",
    "write_config",
]
