"""The table of a report: a row a measurement, its encoders side by side."""

import numpy as np

from keras_tc2.reporting.measures import measure_name

# Dataset, protocol and measure stand left; numbers right.
TEXT_COLUMNS = 3


def report_table(report):
    """Header and rows of text, every value in percent.

    Args:
        report: `TransferReport`. Rows that differ only by seed become one cell. Of a
            single encoder the table tells the seconds too.

    Returns:
        `(header, rows)`: list of str, and list of lists of str.
    """
    encoders = report.encoders
    header = ["dataset", "protocol", "measure, %", *encoders]
    if len(encoders) == 1:
        header.append("seconds")
    lines = []
    for (dataset, protocol, metric), rows in measurements(report).items():
        line = [dataset, protocol, measure_name(metric)]
        for encoder in encoders:
            line.append(_cell([row for row in rows if row["encoder"] == encoder]))
        if len(encoders) == 1:
            line.append(_seconds(rows))
        lines.append(line)
    return header, lines


def measurements(report):
    """`{(dataset, protocol, metric): rows}`, in order of appearance."""
    found = {}
    for row in report.rows:
        *measurement, _ = row_key(row)
        found.setdefault(tuple(measurement), []).append(row)
    return found


def row_key(row):
    """`(dataset, protocol, metric, seed)`: what no two rows of an encoder share."""
    return row["dataset"], row["protocol"], row["metric"], row["seed"]


def mean_and_spread(rows):
    """Mean of the rows of one encoder and measurement, and its spread, in percent.

    The standard deviation over seeds where there are several, or else the spread over
    draws where the protocol has one; NaN without either.
    """
    values = [100 * row["value"] for row in rows]
    if not values:
        return np.nan, np.nan
    if len(values) > 1:
        return np.mean(values), np.std(values, ddof=1)
    spread = rows[0]["spread"]
    return values[0], np.nan if spread is None else 100 * spread


def spread_meaning(report):
    """What a spread of this report is over: words, or `None` without any."""
    seeds = len({row["seed"] for row in report.rows})
    if seeds > 1:
        return f"sd over {seeds} seeds"
    if any(row["spread"] is not None for row in report.rows):
        return "sd over draws"
    return None


def _cell(rows):
    mean, spread = mean_and_spread(rows)
    if np.isnan(mean):
        return "–"
    return f"{mean:.2f}" + ("" if np.isnan(spread) else f" ± {spread:.2f}")


def _seconds(rows):
    if any(row["seconds"] is None for row in rows):
        return ""
    return f"{sum(row['seconds'] for row in rows):.1f}"
