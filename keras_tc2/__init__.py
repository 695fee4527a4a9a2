"""Self-supervised pre-training of image encoders that transfer, in Keras 3."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_tc2 needs the TensorFlow backend of Keras: set KERAS_BACKEND=tensorflow "
        f"before keras is imported. Received: {keras.backend.backend()}"
    )

from keras_tc2 import (
    augment,
    bilevel,
    callbacks,
    data,
    encoders,
    hub,
    layers,
    objectives,
    optimizers,
    pretraining,
    recipes,
    transfer,
)
from keras_tc2 import provenance as provenance  # Deprecated.
from keras_tc2.encoders import Classifier, Encoder, from_pretrained
from keras_tc2.pretraining import BiSSLTrainer, SSLPretrainer, TC2Pretrainer
from keras_tc2.version import __version__

__all__ = [
    "BiSSLTrainer",
    "Classifier",
    "Encoder",
    "SSLPretrainer",
    "TC2Pretrainer",
    "__version__",
    "augment",
    "bilevel",
    "callbacks",
    "data",
    "encoders",
    "from_pretrained",
    "hub",
    "layers",
    "objectives",
    "optimizers",
    "pretraining",
    "recipes",
    "transfer",
]


def __dir__() -> list[str]:
    return __all__
