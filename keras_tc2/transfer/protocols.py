"""The registry of protocols: a new one is a new file and one line here."""

from keras_tc2 import checks
from keras_tc2.transfer.few_shot import FewShot
from keras_tc2.transfer.knn import KNN
from keras_tc2.transfer.linear_probe import LinearProbe
from keras_tc2.transfer.protocol import Protocol

PROTOCOLS = {
    "knn": KNN,
    "linear": LinearProbe,
    "few_shot": FewShot,
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
