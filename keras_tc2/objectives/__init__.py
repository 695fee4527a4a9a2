"""Base self-supervised objectives: a pure function and its thin class in each file.

A new objective is a new file, and one line in each list here.
"""

from keras_tc2 import checks
from keras_tc2.objectives.barlow_twins import BarlowTwins, barlow_twins
from keras_tc2.objectives.byol import BYOL, byol
from keras_tc2.objectives.dcl import DCL, dcl
from keras_tc2.objectives.dino import DINO, dino
from keras_tc2.objectives.function_objective import FunctionObjective
from keras_tc2.objectives.moco_v3 import MoCoV3, moco_v3
from keras_tc2.objectives.momentum_objective import MomentumObjective
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.nt_xent import NTXent, nt_xent
from keras_tc2.objectives.objective import AnyObjective, Objective
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


# What other libraries and papers call them.
_ALIASES = {
    "barlow": "barlow_twins",
    "contrastive": "nt_xent",
    "decoupled_contrastive": "dcl",
    "info_nce": "nt_xent",
    "moco": "moco_v3",
    "moco_v2": "moco_v3",
    "sim_clr": "nt_xent",
}


def names() -> list[str]:
    """The names that `get` knows, sorted."""
    return sorted(_BY_NAME)


def get(identifier: AnyObjective) -> Objective:
    """An objective, from its name, its class, a function, or as it is.

    Args:
        identifier: one of

            - an `Objective`, returned as it is;
            - one of `names()`, or a class of objectives: that objective with its
              default arguments;
            - a function `loss(embeddings_1, embeddings_2)` of two tensors
              `(batch, dim)` that returns a scalar, see `FunctionObjective`; the
              library's own, such as `nt_xent`, stand for their classes.

    Raises:
        ValueError: if it is none of these, with the known name that is nearest.
    """
    for name, cls in _BY_NAME.items():
        if identifier is globals()[name]:
            return cls()
    if callable(identifier) and not isinstance(identifier, type | Objective):
        return FunctionObjective(identifier)
    return checks.made("objective", identifier, Objective, _BY_NAME, aliases=_ALIASES)


__all__ = [
    "BYOL",
    "DCL",
    "DINO",
    "BarlowTwins",
    "FunctionObjective",
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


def __dir__() -> list[str]:
    return __all__
