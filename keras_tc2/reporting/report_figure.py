"""The picture of a report: a panel for each dataset, a bar for each encoder."""

import math

import numpy as np

from keras_tc2.reporting.measures import measurement_name
from keras_tc2.reporting.palette import COLOURS, colour
from keras_tc2.reporting.report_table import (
    mean_and_spread,
    measurements,
    spread_meaning,
)

# Inches; the text stays of one size, and the picture grows down, not across, so that
# it is read on a page and on a telephone, with two measurements or with fifty.
WIDTH = 6.4
BAR = 0.165
BETWEEN = 0.12
AROUND = 0.75


def report_figure(report):
    """Horizontal bars of every measurement, the encoders one below the other.

    Args:
        report: `TransferReport`. Rows that differ only by seed become one bar with an
            error bar of one standard deviation over seeds; a single seed shows the
            spread over draws where the protocol has one.

    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    panels_of = {}
    for (dataset, _, _), rows in measurements(report).items():
        panels_of.setdefault(dataset, []).append(rows)
    group = max(BAR * len(report.encoders), 0.22) + BETWEEN
    heights = [group * len(groups) + AROUND for groups in panels_of.values()]
    rows_of_legend = math.ceil(len(report.encoders) / 2)
    figure = Figure(
        figsize=(WIDTH, 0.6 + sum(heights) + 0.2 * rows_of_legend),
        layout="constrained",
    )
    panels = figure.subplots(
        len(heights), squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    for panel, (dataset, groups) in zip(panels, panels_of.items(), strict=True):
        _panel(panel, report.encoders, dataset, groups, group)
    title = "Transfer to downstream datasets"
    meaning = spread_meaning(report)
    figure.suptitle(title + (f" (whiskers: {meaning})" if meaning else ""), fontsize=11)
    if len(report.encoders) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        long = max(map(len, labels)) > 36
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=1 if long else min(2, len(labels)),
            fontsize=9,
        )
    return figure


def _panel(panel, encoders, dataset, groups, group):
    """One dataset: `groups` of rows, each `group` inches high."""
    positions = np.arange(len(groups))
    thickness = (1 - BETWEEN / group) / len(encoders)
    for index, encoder in enumerate(encoders):
        found = [
            mean_and_spread([row for row in rows if row["encoder"] == encoder])
            for rows in groups
        ]
        means, spreads = np.transpose(found)
        bars = panel.barh(
            positions + (index - (len(encoders) - 1) / 2) * thickness,
            means,
            0.9 * thickness,
            xerr=spreads,
            label=encoder,
            color=colour(index),
            # Beyond the seven colours that can be told apart.
            hatch=["", "//", "xx"][index // len(COLOURS) % 3],
            edgecolor="black",
            linewidth=0.5,
            error_kw={"elinewidth": 0.9, "capsize": 2},
        )
        texts = ["–" if np.isnan(mean) else f"{mean:.1f}" for mean in means]
        panel.bar_label(bars, texts, fontsize=8, padding=2)
    panel.set_title(dataset, loc="left", fontsize=10, fontweight="bold")
    panel.set_yticks(
        positions, [measurement_name(rows[0]) for rows in groups], fontsize=9
    )
    panel.set_ylim(len(groups) - 0.5, -0.5)
    panel.set_xlim(0, 108)
    panel.set_xticks(range(0, 101, 20))
    panel.tick_params(axis="x", labelsize=9)
    metrics = {rows[0]["metric"] for rows in groups}
    panel.set_xlabel(
        "accuracy, %" if metrics == {"accuracy"} else "accuracy or named measure, %",
        fontsize=9,
    )
    panel.grid(axis="x", linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
