"""Measuring transfer: features, protocols on them, and reports."""

from keras_tc2.transfer.evaluate import evaluate
from keras_tc2.transfer.features import extract_features
from keras_tc2.transfer.few_shot import FewShot, few_shot
from keras_tc2.transfer.knn import KNN, knn_accuracy
from keras_tc2.transfer.linear_probe import LinearProbe, linear_probe
from keras_tc2.transfer.protocol import Protocol
from keras_tc2.transfer.protocols import protocol_names
from keras_tc2.transfer.report import TransferReport
from keras_tc2.transfer.score import Score

__all__ = [
    "KNN",
    "FewShot",
    "LinearProbe",
    "Protocol",
    "Score",
    "TransferReport",
    "evaluate",
    "extract_features",
    "few_shot",
    "knn_accuracy",
    "linear_probe",
    "protocol_names",
]
