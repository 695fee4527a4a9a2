"""Merging encoders that were fine-tuned from one: a file for each method."""

from keras_tc2.transfer.merge.atlas import atlas
from keras_tc2.transfer.merge.average import average
from keras_tc2.transfer.merge.batch_statistics import reestimate_batch_statistics
from keras_tc2.transfer.merge.fisher import diagonal_fisher, fisher_average
from keras_tc2.transfer.merge.task_arithmetic import task_arithmetic

__all__ = [
    "atlas",
    "average",
    "diagonal_fisher",
    "fisher_average",
    "reestimate_batch_statistics",
    "task_arithmetic",
]


def __dir__() -> list[str]:
    return __all__
