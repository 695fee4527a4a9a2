"""Joins reports of `transfer` into one page, with paired differences.

keras-tc2 report --reports=a/report.json,b/report.json --output=all.html
"""

from absl import flags

from keras_tc2.cli.settings import chosen
from keras_tc2.transfer import TransferReport


def define(values):
    """Adds the flags of the command."""
    flags.DEFINE_list("reports", None, "Files `report.json`.", flag_values=values)
    flags.DEFINE_string("output", None, "Where the page goes.", flag_values=values)
    flags.DEFINE_string(
        "reference",
        None,
        "Name of the encoder that the others are compared with.",
        flag_values=values,
    )


def run(values):
    """Joins, prints the table, and writes the page."""
    chosen(values, "reports", "output")
    report = TransferReport.join(map(_read, values.reports))
    report.to_html(values.output, reference=values.reference)
    print(report.to_markdown())
    print(f"The page is {values.output}.")


def _read(path):
    """The report in a file."""
    try:
        return TransferReport.from_json(path)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no `report.json` of `keras-tc2 transfer`: {error}"
        ) from error
