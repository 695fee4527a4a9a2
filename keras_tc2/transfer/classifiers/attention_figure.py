"""The picture of attention over several encoders."""

import pathlib

import numpy as np

from keras_tc2.reporting.palette import colour


def attention_figure(attention, labels, names, *, path=None):
    """Left every sample, sorted by class; right the mean of every class.

    Args:
        attention: float array `(N, encoders)`, rows that sum to one.
        labels: int array `(N,)`.
        names: list of str, one an encoder.
        path: file to write, or `None`.

    Returns:
        `matplotlib.figure.Figure`, not registered with pyplot.

    Raises:
        ValueError: if the three do not fit together.
    """
    from matplotlib.figure import Figure

    if labels.shape != attention.shape[:1] or len(names) != attention.shape[1]:
        raise ValueError(
            f"Attention {attention.shape} needs one label a row and one name a column. "
            f"Received: {labels.shape} labels and {len(names)} names"
        )
    order = np.argsort(labels, kind="stable")
    classes, starts = np.unique(labels[order], return_index=True)
    figure = Figure(figsize=(10.0, 4.5), layout="constrained")
    samples, means = figure.subplots(1, 2)
    image = samples.imshow(
        attention[order], aspect="auto", vmin=0, vmax=1, cmap="viridis"
    )
    samples.set_xticks(range(len(names)), names, rotation=20, ha="right")
    samples.set_yticks(starts, classes)
    samples.set(title="every sample, sorted by class", ylabel="class")
    figure.colorbar(image, ax=samples, label="attention weight")
    bottom = np.zeros(len(classes))
    for column, name in enumerate(names):
        heights = [attention[labels == value, column].mean() for value in classes]
        means.bar(
            [str(value) for value in classes],
            heights,
            bottom=bottom,
            color=colour(column),
            edgecolor="white",
            label=name,
        )
        bottom = bottom + heights
    means.set(title="mean of every class", xlabel="class", ylim=(0, 1))
    figure.legend(
        *means.get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
    if path is not None:
        figure.savefig(pathlib.Path(path).expanduser(), dpi=120)
    return figure
