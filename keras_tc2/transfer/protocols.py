"""The registry of protocols: a new one is a new file and one line here."""

from keras_tc2 import checks
from keras_tc2.transfer.clustering import Clustering
from keras_tc2.transfer.few_shot import FewShot
from keras_tc2.transfer.fine_tuning import FineTuning
from keras_tc2.transfer.knn import KNN
from keras_tc2.transfer.linear_probe import LinearProbe
from keras_tc2.transfer.out_of_distribution import OutOfDistribution
from keras_tc2.transfer.protocol import Protocol
from keras_tc2.transfer.retrieval import Retrieval
from keras_tc2.transfer.semi_supervised import SemiSupervised

PROTOCOLS = {
    "knn": KNN,
    "linear": LinearProbe,
    "few_shot": FewShot,
    "clustering": Clustering,
    "retrieval": Retrieval,
    "out_of_distribution": OutOfDistribution,
    "fine_tuning": FineTuning,
    "semi_supervised": SemiSupervised,
}


def protocol_names():
    """Names that `evaluate` takes as `protocols`."""
    return list(PROTOCOLS)


def get(protocol):
    """The protocol of a name, with its default options; an object comes back as it is.

    Raises:
        ValueError: if the name is unknown.
    """
    if isinstance(protocol, Protocol):
        return protocol
    return PROTOCOLS[checks.one_of("protocols", protocol, PROTOCOLS)]()
