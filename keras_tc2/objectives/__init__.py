"""Base self-supervised objectives: a pure function and its thin class in each file.

A new objective is a new file, and one line in each list here.
"""

from keras_tc2.objectives.barlow_twins import BarlowTwins, barlow_twins
from keras_tc2.objectives.byol import BYOL, byol
from keras_tc2.objectives.dcl import DCL, dcl
from keras_tc2.objectives.dino import DINO, dino
from keras_tc2.objectives.moco_v3 import MoCoV3, moco_v3
from keras_tc2.objectives.momentum_objective import MomentumObjective
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.nt_xent import NTXent, nt_xent
from keras_tc2.objectives.objective import Objective
from keras_tc2.objectives.sim_mim import SimMIM, sim_mim
from keras_tc2.objectives.simsiam import SimSiam, simsiam
from keras_tc2.objectives.swav import SwAV, sinkhorn, swav
from keras_tc2.objectives.vicreg import VICReg, vicreg

_BY_NAME = {
    "barlow_twins": BarlowTwins,
    "byol": BYOL,
    "dcl": DCL,
    "dino": DINO,
    "moco_v3": MoCoV3,
    "nt_xent": NTXent,
    "sim_mim": SimMIM,
    "simsiam": SimSiam,
    "swav": SwAV,
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


__all__ = [
    "BYOL",
    "DCL",
    "DINO",
    "BarlowTwins",
    "MoCoV3",
    "MomentumObjective",
    "NTXent",
    "Needs",
    "Objective",
    "SimMIM",
    "SimSiam",
    "SwAV",
    "VICReg",
    "barlow_twins",
    "byol",
    "dcl",
    "dino",
    "get",
    "moco_v3",
    "names",
    "nt_xent",
    "sim_mim",
    "simsiam",
    "sinkhorn",
    "swav",
    "vicreg",
]
