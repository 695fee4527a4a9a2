"""Encoders: a registry of builders, and the `Encoder` model around what they build.

The builders are exported for their docstrings; call them through `create`.
"""

from keras_tc2.encoders.classifier import Classifier
from keras_tc2.encoders.convnet import convnet
from keras_tc2.encoders.create import create
from keras_tc2.encoders.efficientnet import efficientnet_v2_b0
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.from_pretrained import from_pretrained
from keras_tc2.encoders.mobilenet import mobilenet_v3_small
from keras_tc2.encoders.registry import names, register
from keras_tc2.encoders.resnet import resnet18, resnet34, resnet50
from keras_tc2.encoders.vit import vit_tiny

__all__ = [
    "Classifier",
    "Encoder",
    "convnet",
    "create",
    "efficientnet_v2_b0",
    "from_pretrained",
    "mobilenet_v3_small",
    "names",
    "register",
    "resnet18",
    "resnet34",
    "resnet50",
    "vit_tiny",
]


def __dir__() -> list[str]:
    return __all__
