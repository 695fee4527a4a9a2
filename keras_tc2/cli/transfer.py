"""Measures encoders on datasets: a table, a page and numbers.

    keras-tc2 transfer --encoders=runs/a/encoder,me/b --datasets=cifar10,flowers

OUTPUT_DIR gets `report.json`, after every encoder, and at the end `report.md` and
`report.html`.
"""

import pathlib

from absl import flags

from keras_tc2.cli.settings import chosen
from keras_tc2.encoders import from_pretrained
from keras_tc2.transfer import TransferReport, evaluate, protocol_names


def define(values):
    """Adds the flags of the command."""
    for name, default, text in (
        ("encoders", None, "Folders or Hub repositories of saved encoders."),
        ("datasets", None, "Names or folders, each with splits train and test."),
        ("protocols", ["knn", "linear"], f"Of {', '.join(protocol_names())}."),
    ):
        flags.DEFINE_list(name, default, text, flag_values=values)
    flags.DEFINE_string(
        "data_dir", None, "Folder of prepared datasets.", flag_values=values
    )
    flags.DEFINE_integer(
        "seed", 0, "Draws held-out parts and shots.", flag_values=values
    )
    flags.DEFINE_string("output_dir", None, "Where it goes.", flag_values=values)


def run(values):
    """Measures, prints the table, and writes the files."""
    chosen(values, "encoders", "datasets", "output_dir")
    folder = pathlib.Path(values.output_dir).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    encoders = [(name, from_pretrained(name)) for name in values.encoders]
    reports = []
    for name, encoder in encoders:
        reports.append(
            evaluate(
                encoder,
                values.datasets,
                protocols=values.protocols,
                data_dir=values.data_dir,
                encoder_name=name,
                seed=values.seed,
            )
        )
        report = TransferReport.join(reports)
        report.to_json(folder / "report.json")
    (folder / "report.md").write_text(report.to_markdown() + "\n", encoding="utf-8")
    report.to_html(folder / "report.html")
    print(report.to_markdown())
    print(f"The page is {folder / 'report.html'}.")
