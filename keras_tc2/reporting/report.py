"""What an evaluation found: rows of numbers, and the ways to read and keep them."""

import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Figure, PathLike
from keras_tc2.reporting.markdown_table import markdown_table
from keras_tc2.reporting.report_table import TEXT_COLUMNS, report_table, row_key

if TYPE_CHECKING:
    from keras_tc2.reporting.comparison import Comparison

NEEDED = ("encoder", "dataset", "protocol", "value")


class TransferReport:
    """The result of `evaluate`: one row for each encoder, dataset and protocol.

    Args:
        rows: list of dicts with `"encoder"`, `"dataset"`, `"protocol"`, `"value"` (in
            [0, 1]; `"metric"` says of what, by default of accuracy), and `"spread"`,
            `"seconds"`, `"seed"`, `"details"`, `"per_image"` (array or None) and
            `"picture"` (as of `Score`).
            `"accuracy"` stands for `"value"`, as in reports of before.
        settings: dict of JSON values: versions and options.
        notes: list of sentences about what was done to the data.
        failures: list of dicts of what could not be measured, with the keys
            `"encoder"`, `"dataset"`, `"seed"`, `"protocol"` (its class, as in the
            settings) and `"error"`.

    Example:
    ```python
    from keras_tc2 import transfer

    row = {"encoder": "a", "dataset": "mnist", "protocol": "knn", "value": 0.9}
    report = transfer.TransferReport([row])
    report.accuracy("mnist", "knn")
    print(report.to_markdown())
    ```
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        *,
        settings: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        failures: Sequence[dict[str, Any]] = (),
    ) -> None:
        defaults: dict[str, Any] = {
            "metric": "accuracy",
            "spread": None,
            "seconds": None,
            "seed": 0,
            "details": {},
            "per_image": None,
            "picture": None,
        }
        self.rows = [{**defaults, **row} for row in rows]
        for row in self.rows:
            if "accuracy" in row:
                row["value"] = row.pop("accuracy")
            missing = {*NEEDED} - set(row)
            if missing:
                raise ValueError(
                    f"A row of a report needs {NEEDED}. Missing: {sorted(missing)}"
                )
            if row["per_image"] is not None:
                row["per_image"] = np.asarray(row["per_image"], "float32")
        # Through JSON, so that a report read back equals the one that was written.
        self.settings = json.loads(json.dumps(settings or {}, default=str))
        self.notes = list(notes)
        self.failures = list(failures)

    @classmethod
    def join(cls, reports: Iterable["TransferReport"]) -> Self:
        """One report with the rows of several, such as several encoders or seeds.

        A setting that differs becomes the list of its values. An encoder that has the
        name, dataset, protocol, metric and seed of one before it is another: it becomes
        `"name (2)"`.
        """
        rows: list[dict[str, Any]] = []
        failures: list[dict[str, Any]] = []
        settings: list[dict[str, Any]] = []
        notes: dict[str, None] = {}
        for report in reports:
            names = _names_beside(rows, report)
            own = dict(report.settings)
            seconds = own.get("feature_seconds", {})
            if seconds:
                own["feature_seconds"] = {
                    names.get(name, name): value for name, value in seconds.items()
                }
            settings.append(own)
            notes |= dict.fromkeys(report.notes)
            rows += [{**row, "encoder": names[row["encoder"]]} for row in report.rows]
            failures += [
                {**fail, "encoder": names.get(fail["encoder"], fail["encoder"])}
                for fail in report.failures
            ]
        return cls(
            rows, settings=_beside(settings), notes=list(notes), failures=failures
        )

    @property
    def encoders(self) -> list[str]:
        """Names of the encoders, in order of appearance."""
        return list(dict.fromkeys(row["encoder"] for row in self.rows))

    def value(
        self,
        dataset: str,
        protocol: str,
        *,
        encoder: str | None = None,
        metric: str | None = None,
    ) -> float:
        """The value of one row in [0, 1], averaged over seeds; its metric says of what.

        Raises:
            ValueError: if there is no such row, or rows differ in encoder or metric and
                `encoder` or `metric` does not say which.
        """
        rows = [
            row
            for row in self._rows_of(dataset, protocol, encoder)
            if metric in (None, row["metric"])
        ]
        if len({row["metric"] for row in rows}) != 1:
            metrics = self._metrics(dataset, protocol, encoder)
            raise ValueError(
                f"The protocol {protocol!r} measures {metrics}: say by `metric=` which "
                f"of them. Received: metric={metric!r}"
            )
        return float(np.mean([row["value"] for row in rows]))

    def accuracy(
        self, dataset: str, protocol: str, *, encoder: str | None = None
    ) -> float:
        """The accuracy of one row in [0, 1], averaged over seeds.

        Raises:
            ValueError: as `value`, or if the row holds another measure.
        """
        metrics = self._metrics(dataset, protocol, encoder)
        if "accuracy" not in metrics:
            raise ValueError(
                f"The protocol {protocol!r} measures {', '.join(map(repr, metrics))}, "
                f"not accuracy: take `report.value({dataset!r}, {protocol!r})`."
            )
        return self.value(dataset, protocol, encoder=encoder, metric="accuracy")

    def _metrics(self, dataset, protocol, encoder):
        rows = self._rows_of(dataset, protocol, encoder)
        return sorted({row["metric"] for row in rows})

    def _rows_of(self, dataset, protocol, encoder):
        found = [
            row
            for row in self.rows
            if (row["dataset"], row["protocol"]) == (dataset, protocol)
            and encoder in (None, row["encoder"])
        ]
        if not found or len({row["encoder"] for row in found}) > 1:
            raise ValueError(
                f"{len(found)} rows have dataset={dataset!r}, protocol={protocol!r}, "
                f"encoder={encoder!r}; one encoder must. The report holds "
                f"{sorted({(row['dataset'], row['protocol']) for row in self.rows})} "
                f"of encoders {self.encoders}." + self._failed(dataset)
            )
        return found

    def _failed(self, dataset):
        """What could not be measured on a dataset, as the end of a message."""
        found = [fail for fail in self.failures if fail["dataset"] == dataset]
        return "".join(f" {x['protocol']} failed: {x['error']}" for x in found)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in JSON values."""
        rows = [{**row, "per_image": _plain(row["per_image"])} for row in self.rows]
        return {
            "rows": rows,
            "settings": self.settings,
            "notes": self.notes,
            "failures": self.failures,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report that `to_dict` describes."""
        return cls(**{"failures": (), **values})

    def to_json(self, path: PathLike | None = None) -> str:
        """Everything as JSON text; also written to `path` when one is given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            pathlib.Path(path).expanduser().write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, text_or_path: PathLike) -> Self:
        """Reads what `to_json` wrote, from its text or its file."""
        text = str(text_or_path)
        if not text.lstrip().startswith("{"):
            path = pathlib.Path(text_or_path).expanduser()
            text = path.read_text(encoding="utf-8")
        return cls.from_dict(json.loads(text))

    def to_markdown(self) -> str:
        """The table as Markdown, the encoders side by side, every value in percent.

        ± is the standard deviation over seeds, or over draws for a single seed.
        """
        header, rows = report_table(self)
        table = markdown_table(header, rows, num_text_columns=TEXT_COLUMNS)
        notes = "".join(f"\n- {note}" for note in self.notes)
        return table + ("\n" + notes if notes else "") + "\n"

    def to_html(
        self, path: PathLike | None = None, *, reference: str | None = None
    ) -> str:
        """One self-contained page: table, picture, differences, notes and settings.

        Of several encoders, each is compared with one of them (see `compare`).

        Args:
            path: where the page is written too. Defaults to `None`.
            reference: str. The encoder that the others are compared with. Defaults to
                `None`, the first.

        Returns:
            str, the page.

        Raises:
            ValueError: if the report has no encoder named `reference`.
        """
        from keras_tc2.reporting.report_page import report_page

        if reference is not None:
            checks.one_of("reference", reference, self.encoders)
        text = report_page(self, reference=reference)
        if path is not None:
            pathlib.Path(path).expanduser().write_text(text, encoding="utf-8")
        return text

    def plot(self, path: PathLike | None = None) -> Figure:
        """Bars, one panel a dataset; also saved to `path` when one is given.

        Returns:
            `matplotlib.figure.Figure`.
        """
        from keras_tc2.reporting.report_figure import report_figure

        figure = report_figure(self)
        if path is not None:
            figure.savefig(pathlib.Path(path).expanduser(), dpi=150)
        return figure

    def only(self, encoder: str) -> "TransferReport":
        """The report of one of its encoders.

        Raises:
            ValueError: if it has none of that name.
        """
        checks.one_of("encoder", encoder, self.encoders)
        rows = [row for row in self.rows if row["encoder"] == encoder]
        failures = [fail for fail in self.failures if fail["encoder"] == encoder]
        return TransferReport(
            rows, settings=self.settings, notes=self.notes, failures=failures
        )

    def compare(
        self,
        other: "TransferReport",
        *,
        confidence: float = 0.95,
        num_resamples: int = 2000,
        seed: int = 0,
    ) -> "Comparison":
        """This report's encoder minus another's, paired.

        Rows are paired by dataset, protocol, metric and seed. Test images are the same
        on both sides, so their differences are resampled together; several seeds
        (reports of several runs, joined) give an interval over training as well.

        Args:
            other: `TransferReport` of one encoder; so must this be.
            confidence: float in (0, 1). Coverage of the intervals. Defaults to `0.95`.
            num_resamples: int. Bootstrap resamples. Defaults to `2000`.
            seed: int. Draws them. Defaults to `0`.

        Returns:
            A `Comparison`, with `differences`, `overall`, `finding` and
            `to_markdown()`.

        Raises:
            ValueError: if a report has several encoders, or nothing can be paired.
        """
        from keras_tc2.reporting.comparison import compare

        checks.probability("confidence", confidence)
        checks.integer("num_resamples", num_resamples)
        return compare(
            self, other, confidence=confidence, num_resamples=num_resamples, seed=seed
        )

    def pairs_with(self, other: "TransferReport") -> bool:
        """Whether they share a dataset, protocol, metric and seed, for `compare`."""
        return not self._keys().isdisjoint(other._keys())

    def _keys(self):
        return {row_key(row) for row in self.rows}

    def __str__(self) -> str:
        """The Markdown table."""
        return self.to_markdown()

    def __repr__(self) -> str:
        """How many rows, and of what."""
        return f"<TransferReport: {len(self.rows)} rows of {', '.join(self.encoders)}>"


def _plain(values):
    if values is None:
        return None
    return [
        int(value) if value in (0, 1) else round(float(value), 6) for value in values
    ]


def _names_beside(rows, report):
    """`{name: new name}` that keeps a report's encoders apart from those of `rows`."""
    taken = {_key(row, row["encoder"]) for row in rows}
    names = {}
    for name in report.encoders:
        own = [row for row in report.rows if row["encoder"] == name]
        new, number = name, 1
        while any(_key(row, new) in taken for row in own):
            number += 1
            new = f"{name} ({number})"
        names[name] = new
        taken |= {_key(row, new) for row in own}
    return names


def _key(row, encoder):
    return encoder, *row_key(row)


def _beside(settings):
    """One dict of several; a list of the values where they differ."""
    merged = {}
    for key in dict.fromkeys(key for one in settings for key in one):
        values = [one[key] for one in settings if key in one]
        if all(isinstance(value, dict) for value in values):
            merged[key] = _beside(values)
        else:
            different = [v for i, v in enumerate(values) if v not in values[:i]]
            merged[key] = different[0] if len(different) == 1 else different
    return merged
