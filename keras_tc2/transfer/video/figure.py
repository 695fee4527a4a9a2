"""Frames, true masks and propagated masks, side by side."""

from collections.abc import Sequence

import numpy as np

from keras_tc2.annotations import Array, Figure
from keras_tc2.augment.show_views import drawable
from keras_tc2.reporting.palette import COLOURS
from keras_tc2.transfer.video.clips import Clip


def propagation_figure(
    clip: Clip, masks: Sequence[Array] | Array, *, num_frames: int = 5
) -> Figure:
    """A clip over time: the frames, the truth, and what was propagated.

    Of two channels the first is drawn, of more than three the first three.

    Args:
        clip: `Clip`.
        masks: int array `(T, H, W)`, as `label_propagation` gives.
        num_frames: int >= 2, how many are shown, evenly. Defaults to `5`.

    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    times = np.linspace(0, len(clip.frames) - 1, num_frames).round().astype(int)
    figure = Figure(figsize=(1.7 * num_frames, 5.4), layout="constrained")
    panels = figure.subplots(3, num_frames, squeeze=False)
    rows = ("frame", None), ("true mask", clip.masks), ("propagated", masks)
    for row, (name, shown) in zip(panels, rows, strict=True):
        row[0].set_ylabel(name)
        for panel, t in zip(row, times, strict=True):
            panel.imshow(drawable(np.asarray(clip.frames[t])), cmap="gray")
            if shown is not None:
                panel.imshow(_overlay(shown[t], clip.objects))
            panel.set_xticks([])
            panel.set_yticks([])
    for panel, t in zip(panels[0], times, strict=True):
        panel.set_title(f"frame {t}", fontsize=9)
    figure.suptitle(clip.name, fontsize=10)
    return figure


def _overlay(mask, objects):
    """RGBA, half transparent where there is an object."""
    picture = np.zeros((*mask.shape, 4))
    for place, number in enumerate(objects):
        colour = COLOURS[place % (len(COLOURS) - 1)].lstrip("#")
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        picture[mask == number] = [*rgb, 0.75]
    return picture
