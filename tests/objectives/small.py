"""Every objective of the registry, in sizes for embeddings of width 4."""

from keras_tc2 import objectives

# For images of side 6 and batches of 8 instead of the defaults; an objective that is
# not here takes its defaults. Targets move fast, so that a wrong one shows.
SMALL = {
    "byol": {"hidden_dim": 6, "momentum": 0.5},
    "dcl": {"sigma": 0.5},
    "dino": {"output_dim": 6, "momentum": 0.5},
    "moco_v3": {"hidden_dim": 6, "momentum": 0.5},
    "sim_mim": {"patch_size": 2, "hidden_dim": 6},
    "simsiam": {"hidden_dim": 3},
    "swav": {"num_prototypes": 6},
}


def small(name, **arguments):
    """The objective of that name, small."""
    return type(objectives.get(name))(**SMALL.get(name, {}), **arguments)
