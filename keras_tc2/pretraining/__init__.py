"""Pretrainers: `keras.Model`s that train an encoder without labels."""

from keras_tc2.pretraining.bissl.trainer import BiSSLTrainer
from keras_tc2.pretraining.core.batch import Batch
from keras_tc2.pretraining.core.pretrainer import Pretrainer
from keras_tc2.pretraining.ssl_pretrainer import SSLPretrainer
from keras_tc2.pretraining.tc2.pretrainer import TC2Pretrainer

__all__ = ["Batch", "BiSSLTrainer", "Pretrainer", "SSLPretrainer", "TC2Pretrainer"]


def __dir__() -> list[str]:
    return __all__
