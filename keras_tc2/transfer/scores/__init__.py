"""Transferability scores: which encoder suits a dataset, without training one."""

from keras_tc2.transfer.scores.h_score import h_score
from keras_tc2.transfer.scores.knn_score import knn_score
from keras_tc2.transfer.scores.leep import leep
from keras_tc2.transfer.scores.log_me import log_me
from keras_tc2.transfer.scores.nce import nce
from keras_tc2.transfer.scores.osborn import domain_difference, osborn, osborn_terms
from keras_tc2.transfer.scores.ped import ped, potential_energy_decline

__all__ = [
    "domain_difference",
    "h_score",
    "knn_score",
    "leep",
    "log_me",
    "nce",
    "osborn",
    "osborn_terms",
    "ped",
    "potential_energy_decline",
]


def __dir__() -> list[str]:
    return __all__
