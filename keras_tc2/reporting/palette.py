"""Colours that colour-blind readers can tell apart, for every picture."""

# Okabe and Ito, 2008, without yellow, which is faint on white.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def colour(index):
    """The colour of the `index`-th series."""
    return COLOURS[index % len(COLOURS)]


def marker(index):
    """A marker that tells apart series whose colours repeat, or are printed grey."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]
