"""The picture of a comparison: every difference with how sure it is."""

import textwrap

from keras_tc2.reporting.palette import colour


def comparison_figure(comparison):
    """A point a difference, a line for each of its intervals, a line at zero.

    Args:
        comparison: `Comparison`.

    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    rows = [*comparison.differences]
    if len(rows) > 1:
        rows.append(comparison.overall)
    figure = Figure(figsize=(6.4, 1.3 + 0.3 * len(rows)), layout="constrained")
    panel = figure.subplots()
    percent = f"{100 * comparison.confidence:g} %"
    kinds = (
        ("image_interval", 5.0, 0.45, f"{percent} over test images"),
        ("seed_interval", 1.4, 1.0, f"{percent} over seeds"),
    )
    for name, width, alpha, label in kinds:
        for place, row in enumerate(rows):
            interval = getattr(row, name)
            if interval is not None:
                panel.plot(
                    [100 * bound for bound in interval],
                    [place, place],
                    color=colour(0),
                    linewidth=width,
                    alpha=alpha,
                    label=label,
                    solid_capstyle="butt",
                )
                label = None
    panel.plot(
        [100 * row.mean for row in rows],
        range(len(rows)),
        "D",
        color="black",
        markersize=4.5,
        label="difference",
    )
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=9)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    if len(rows) > len(comparison.differences):
        panel.axhline(len(rows) - 1.5, color="#999999", linewidth=0.6)
    label = f"{comparison.first} minus {comparison.second}, points"
    panel.set_xlabel(textwrap.fill(label, 48), fontsize=9)
    panel.tick_params(axis="x", labelsize=9)
    panel.grid(axis="x", linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure
