"""The picture of a report: a panel for each dataset, a bar for each encoder."""

import numpy as np

from keras_tc2.transfer.palette import colour


def report_figure(report):
    """Grouped bars of every measurement.

    Args:
        report: `TransferReport`. Rows that differ only by seed become one bar with an
            error bar of one standard deviation over seeds; a single seed shows the
            spread over draws where the protocol has one.

    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(row["dataset"] for row in report.rows))
    widest = max(len(_protocols(report, dataset)) for dataset in datasets)
    bars = widest * len(report.encoders)
    width = min(max(7.0, 0.3 * bars + 0.6 * widest), 18.0)
    figure = Figure(figsize=(width, 1.2 + 3.1 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), squeeze=False)[:, 0]
    for panel, dataset in zip(panels, datasets, strict=True):
        _panel(panel, report, dataset)
    seeds = len({row["seed"] for row in report.rows})
    title = "Transfer to downstream datasets"
    if seeds > 1:
        title += f" (whiskers: sd over {seeds} seeds)"
    elif any(row["spread"] is not None for row in report.rows):
        title += " (whiskers: sd over draws)"
    figure.suptitle(title)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, len(labels))
    )
    return figure


def _protocols(report, dataset):
    return list(
        dict.fromkeys(
            (row["protocol"], row["metric"])
            for row in report.rows
            if row["dataset"] == dataset
        )
    )


def _panel(panel, report, dataset):
    protocols = _protocols(report, dataset)
    positions = np.arange(len(protocols))
    width = 0.8 / len(report.encoders)
    for index, encoder in enumerate(report.encoders):
        heights, spreads = [], []
        for protocol, _ in protocols:
            height, spread = _height(report, encoder, dataset, protocol)
            heights.append(height)
            spreads.append(spread)
        offsets = positions + (index - (len(report.encoders) - 1) / 2) * width
        bars = panel.bar(
            offsets,
            heights,
            0.92 * width,
            yerr=spreads,
            label=encoder,
            color=colour(index),
            edgecolor="black",
            linewidth=0.5,
            error_kw={"elinewidth": 0.9, "capsize": 2},
        )
        if len(protocols) * len(report.encoders) <= 16:
            panel.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
    panel.set_title(dataset, loc="left", fontsize=11)
    labels = [
        name.replace("_", " ") + ("" if metric == "accuracy" else f"\n({metric})")
        for name, metric in protocols
    ]
    crowded = len(labels) > 6
    panel.set_xticks(
        positions,
        labels,
        fontsize=9,
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
    )
    panel.set_ylim(0, 108)
    panel.set_yticks(range(0, 101, 20))
    metrics = {metric for _, metric in protocols}
    only_accuracy = metrics == {"accuracy"}
    panel.set_ylabel("accuracy, %" if only_accuracy else "accuracy or measure, %")
    panel.grid(axis="y", linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _height(report, encoder, dataset, protocol):
    """Mean in percent, and the whisker: over seeds, or else over draws."""
    rows = [
        row
        for row in report.rows
        if (row["encoder"], row["dataset"], row["protocol"])
        == (encoder, dataset, protocol)
    ]
    if not rows:
        return np.nan, np.nan
    values = [100 * row["accuracy"] for row in rows]
    if len(rows) > 1:
        return np.mean(values), np.std(values, ddof=1)
    spread = rows[0]["spread"]
    return values[0], np.nan if spread is None else 100 * spread
