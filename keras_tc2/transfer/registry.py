"""The registry of protocols: a new one is a new file and one line here."""

from keras_tc2 import checks
from keras_tc2.transfer.protocols.clustering import Clustering
from keras_tc2.transfer.protocols.domain_adaptation import DomainAdaptation
from keras_tc2.transfer.protocols.few_shot import FewShot
from keras_tc2.transfer.protocols.fine_tuning import FineTuning
from keras_tc2.transfer.protocols.knn import KNN
from keras_tc2.transfer.protocols.linear_probe import LinearProbe
from keras_tc2.transfer.protocols.out_of_distribution import OutOfDistribution
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.retrieval import Retrieval
from keras_tc2.transfer.protocols.semi_supervised import SemiSupervised
from keras_tc2.transfer.video import LabelPropagation

PROTOCOLS = {
    "knn": KNN,
    "linear": LinearProbe,
    "few_shot": FewShot,
    "clustering": Clustering,
    "retrieval": Retrieval,
    "out_of_distribution": OutOfDistribution,
    "domain_adaptation": DomainAdaptation,
    "fine_tuning": FineTuning,
    "semi_supervised": SemiSupervised,
    "label_propagation": LabelPropagation,
}
# What other libraries and papers call them.
ALIASES = {
    "nearest_neighbours": "knn",
    "nearest_neighbors": "knn",
    "linear_probe": "linear",
    "logistic_regression": "linear",
    "kmeans": "clustering",
    "ood": "out_of_distribution",
    "fine_tune": "fine_tuning",
}


def protocol_names() -> list[str]:
    """Names that `evaluate` takes as `protocols`."""
    return list(PROTOCOLS)


def get(protocol):
    """The protocol of a name or class, with its default options, or as it is.

    Raises:
        ValueError: if it is none of these, with the known name that is nearest.
    """
    return checks.made("protocols", protocol, Protocol, PROTOCOLS, aliases=ALIASES)


def get_all(protocols):
    """List of protocols from one, or from a sequence of them, as `get` takes each.

    Raises:
        ValueError: if one is unknown, or there is none.
    """
    single = isinstance(protocols, str | Protocol | type)
    chosen = [get(protocol) for protocol in ([protocols] if single else protocols)]
    if not chosen:
        raise ValueError(
            "`protocols` must be a name or a sequence of at least one. Received: "
            f"protocols={protocols!r}"
        )
    return chosen


def numbered(protocols):
    """`[(protocol, number)]`: 1 for the first of its kind, 2 for the second.

    A subclass is of the kind of the registered class that it is made of.
    """
    registered = PROTOCOLS.values()
    kinds = [
        next((base for base in type(each).__mro__ if base in registered), type(each))
        for each in protocols
    ]
    return [
        (each, 1 + kinds[:place].count(kind))
        for place, (each, kind) in enumerate(zip(protocols, kinds, strict=True))
    ]
