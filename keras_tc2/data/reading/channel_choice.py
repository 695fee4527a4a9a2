"""Grey or colour: decided from the headers of a source's images, before any is read."""

import concurrent.futures
import itertools

from absl import logging

LOOKED_AT_FIRST = 1000
AT_ONCE = 500
# Waiting for a disk or network, not computing.
THREADS = 16
BOTH = {1, 3}


def choose_channels(items, channels_of, where):
    """How many channels the images of a source are read with.

    All grey is grey, any colour is colour. A thousand images, evenly chosen, are looked
    at; if they are all grey, the rest is too, until one is colour. Says in one line
    when some are grey and others are not.

    Args:
        items: list of what stands for an image, or another iterable, of which only the
            first are looked at.
        channels_of: function from an item to its channels, or `None` if unreadable.
        where: str, the source as messages name it.

    Returns:
        `(channels, converts)`: int, or `None` to let the first image decide; and
        whether grey images must be turned into colour.
    """
    found = set()
    for part in _parts(items):
        found |= _kinds(part, channels_of)
        if found != {1} and found:
            break
    if not found or found - BOTH:
        return None, False
    if found == BOTH:
        logging.warning(
            "%s holds grey and colour images: the grey ones are read as colour too, "
            "with 3 channels.",
            where,
        )
    return max(found), 3 in found


def _parts(items):
    """The items in the order in which they are looked at, part by part."""
    if not isinstance(items, list | range):
        yield list(itertools.islice(items, LOOKED_AT_FIRST))
        return
    step = -(-len(items) // LOOKED_AT_FIRST) or 1
    yield items[::step]
    others = [item for place, item in enumerate(items) if place % step]
    for start in range(0, len(others), AT_ONCE):
        yield others[start : start + AT_ONCE]


def _kinds(items, channels_of):
    """The numbers of channels that occur among some items."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return set(pool.map(channels_of, items)) - {None}
