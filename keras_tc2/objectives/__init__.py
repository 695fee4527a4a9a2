"""Base self-supervised objectives: a pure function and its thin class in each file.

A new objective is a new file, and one line here.
"""

from keras_tc2.objectives.nt_xent import NTXent, nt_xent
from keras_tc2.objectives.objective import Objective
from keras_tc2.objectives.vicreg import VICReg, vicreg

_BY_NAME = {
    "nt_xent": NTXent,
    "vicreg": VICReg,
}


def names():
    """The names that `get` knows, sorted."""
    return sorted(_BY_NAME)


def get(identifier):
    """An objective, from its name or as it is.

    Args:
        identifier: an `Objective`, returned as it is, or one of `names()`, which
            gives that objective with its default arguments.

    Raises:
        ValueError: if there is no objective of that name, or it is no `Objective`.
    """
    if isinstance(identifier, Objective):
        return identifier
    if identifier in names():
        return _BY_NAME[identifier]()
    raise ValueError(
        f"`objective` must be an Objective or one of {', '.join(names())}. "
        f"Received: objective={identifier!r}"
    )


__all__ = ["NTXent", "Objective", "VICReg", "get", "names", "nt_xent", "vicreg"]
