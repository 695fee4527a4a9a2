"""Pretrainers: `keras.Model`s that train an encoder without labels."""

from keras_tc2.pretraining.bissl_trainer import BiSSLTrainer
from keras_tc2.pretraining.pretrainer import Pretrainer
from keras_tc2.pretraining.ssl_pretrainer import SSLPretrainer
from keras_tc2.pretraining.tc2_pretrainer import TC2Pretrainer

__all__ = ["BiSSLTrainer", "Pretrainer", "SSLPretrainer", "TC2Pretrainer"]
