"""Seeds for what Keras draws where it is given none, without a trace outside."""

import contextlib
import random


@contextlib.contextmanager
def seeded_layers(seed):
    """Within, layers that are made without a seed get theirs from `seed`.

    Keras draws such seeds from Python's global generator, which is as it was
    afterwards.

    Args:
        seed: int.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
