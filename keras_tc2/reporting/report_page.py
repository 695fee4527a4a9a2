"""The page of a report: table, picture, differences, notes and settings."""

from keras_tc2.reporting import html_page
from keras_tc2.reporting.report_table import TEXT_COLUMNS, report_table, spread_meaning


def report_page(report, *, reference=None):
    """One self-contained HTML page of a `TransferReport`.

    Args:
        report: `TransferReport`.
        reference: str or None. The encoder that the others are compared with; the
            first for `None`.

    Returns:
        str.
    """
    encoders = report.encoders
    header, rows = report_table(report)
    meaning = spread_meaning(report)
    caption = f"±: {meaning}." if meaning else None
    numeric = range(TEXT_COLUMNS, len(header))
    parts = [
        html_page.table(header, rows, numeric=numeric, caption=caption, grouped=True),
        *(html_page.paragraph(note, note=True) for note in report.notes),
        html_page.picture(report.plot(), "The values of the table, in percent."),
    ]
    parts += _pictures(report)
    if len(encoders) > 1:
        parts += _differences(report, reference or encoders[0])
    parts += [html_page.heading("Settings"), html_page.settings(report.settings)]
    return html_page.page("Transfer of " + ", ".join(encoders), parts)


def _pictures(report):
    """What protocols drew, once for each dataset and encoder."""
    drawn = {}
    for row in report.rows:
        if row["picture"]:
            key = row["dataset"], row["protocol"]
            drawn.setdefault(key, {}).setdefault(row["encoder"], row["picture"])
    for (dataset, protocol), pictures in drawn.items():
        yield html_page.heading(f"{protocol} on {dataset}")
        for encoder, picture in pictures.items():
            yield html_page.heading(encoder, level=3)
            yield html_page.image(picture, picture["caption"])


def _differences(report, reference):
    """Each other encoder minus the reference, paired, with intervals."""
    base = report.only(reference)
    yield html_page.heading(f"Differences from {reference}")
    for name in report.encoders:
        if name == reference:
            continue
        other = report.only(name)
        if not other.pairs_with(base):
            text = f"{name} and {reference} share no measurement and seed."
            yield html_page.paragraph(text)
            continue
        comparison = other.compare(base)
        header, rows = comparison.table()
        yield html_page.heading(f"{name} minus {reference}", level=3)
        yield html_page.paragraph(comparison.finding)
        yield html_page.table(
            header,
            rows,
            numeric=range(1, len(header)),
            caption="Paired by dataset, protocol, measure, seed and test image.",
        )
        yield html_page.picture(
            comparison.plot(), f"{name} minus {reference}, with the same intervals."
        )
