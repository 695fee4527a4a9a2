"""Which tasks q judge what was learned on task s."""

import numpy as np

from keras_tc2.annotations import Array
from keras_tc2.checks import one_of


def _ring(num_tasks):
    return (np.arange(num_tasks)[:, None] + 1) % num_tasks


def _all(num_tasks):
    others = np.arange(1, num_tasks)[None, :]
    return (np.arange(num_tasks)[:, None] + others) % num_tasks


PAIRINGS = {"ring": _ring, "all": _all}


def partners(pairing: str, num_tasks: int) -> Array:
    """The tasks that each task is transferred to.

    Args:
        pairing: `"ring"`: task s to task s + 1 mod M; `"all"`: to every other task.
        num_tasks: int >= 2. M.

    Returns:
        Int array `(num_tasks, num_partners)`; row s holds the tasks q of s, never s.

    Raises:
        ValueError: if there is no pairing of that name.
    """
    one_of("pairing", pairing, PAIRINGS)
    return PAIRINGS[pairing](num_tasks)
