"""The model card: what a stranger reads first."""

import hashlib
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_tc2.annotations import Config, PathLike
from keras_tc2.hub.redact import redact

PAPER = "2511.13787"
_MARK = re.compile(r"<!-- keras_tc2 card ([0-9a-f]{64}) -->\n")


def write_card(path: PathLike, text: str) -> None:
    """Writes a card with a mark by which a later change by hand is noticed."""
    text = redact(text)
    head, body = _split_metadata(text)
    marked = f"{head}<!-- keras_tc2 card {_digest(text)} -->\n{body}"
    pathlib.Path(path).write_text(marked, encoding="utf-8")


def is_generated(text):
    """Whether a card is as `write_card` wrote it, not edited since."""
    text = text.replace("\r\n", "\n")
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(_MARK.sub("", text, count=1))


def card_text(
    config: Config,
    *,
    repo_id: str,
    license: str | None,
    card_data: Mapping[str, Any] | None,
    transfer_report: Any,
    pictures: Sequence[str],
    weight_files: Sequence[str],
    classes: Sequence[str | int] | None = None,
) -> str:
    """The text of a card: metadata in YAML, then Markdown.

    Args:
        config: dict, the content of `config.json`.
        repo_id: str.
        license: str or `None`. An identifier of the Hub, such as `"apache-2.0"`.
        card_data: dict. Further metadata; replaces what is made here, but lists of
            `tags` and `datasets` are joined.
        transfer_report: `None`, or an object whose `to_dict()["rows"]` are dicts
            with `encoder`, `dataset`, `protocol` and `value`; `metric` says of what,
            `accuracy` where it is absent.
        pictures: list of str, paths in the repository.
        weight_files: list of str, names of the files that hold weights.
        classes: list, what the logits of a classifier stand for; `None` of an encoder.

    Returns:
        str.
    """
    rows = [] if transfer_report is None else transfer_report.to_dict()["rows"]
    training = config["training"] or {}
    task = "image-feature-extraction" if classes is None else "image-classification"
    metadata = _metadata(config, repo_id, license, card_data, rows, task)
    height, width = config["input_size"]
    name = repo_id.rsplit("/", 1)[-1]
    sections = [
        f"# {name}",
        f"An image encoder, `{config['builder']}`, pre-trained without labels with "
        f"`keras_tc2`. It turns raw "
        f"{height}x{width} images of {config['channels']} channel(s) into "
        f"{config['feature_dim']} features. The library implements Task Conflict "
        f"Calibration, [arXiv {PAPER}](https://arxiv.org/abs/{PAPER}).",
        "## Use\n\n" + _snippet(config, repo_id),
        *([] if classes is None else [_classifier(classes, repo_id)]),
        "## Training\n\n" + _training(training),
    ]
    if rows:
        sections.append("## Transfer\n\n" + _table(rows))
    for picture in pictures:
        title = pathlib.PurePosixPath(picture).stem.replace("_", " ")
        sections.append(f"![{title}]({picture})")
    versions = ", ".join(f"{k} {v}" for k, v in config["versions"].items())
    sections.append(
        "## Files\n\n"
        f"`config.json`: the builder and its arguments. "
        f"{', '.join(f'`{file}`' for file in weight_files)}: the weights. "
        f"Loading runs no code of this repository. Written with {versions}."
    )
    return f"---\n{metadata}---\n" + "\n\n".join(sections) + "\n"


def _listed(value):
    """A list of one or more names, given as one, as a list, or as `None`."""
    return [value] if isinstance(value, str) else list(value or [])


def _metadata(config, repo_id, license, card_data, rows, pipeline_tag):
    from huggingface_hub import EvalResult, ModelCardData

    training = config["training"] or {}
    data = dict(card_data or {})
    objective = training.get("objective")
    tags = ["keras", "self-supervised-learning", f"arxiv:{PAPER}"]
    tags += [objective] if isinstance(objective, str) else []
    tags += _listed(data.get("tags"))
    datasets = _listed(training.get("datasets")) + _listed(data.get("datasets"))
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=row["dataset"],
            dataset_name=row["dataset"],
            metric_type=row.get("metric", "accuracy"),
            metric_value=round(float(row["value"]), 4),
            metric_name=f"{row.get('metric', 'accuracy')}, {row['protocol']}",
        )
        for row in rows
    ]
    return (
        ModelCardData(
            **{
                "library_name": "keras_tc2",
                "pipeline_tag": pipeline_tag,
                "license": license,
                "model_name": repo_id.rsplit("/", 1)[-1],
                "eval_results": results or None,
                **data,
                "tags": [*dict.fromkeys(tags)],
                "datasets": [*dict.fromkeys(datasets)] or None,
            }
        ).to_yaml()
        + "\n"
    )


def _snippet(config, repo_id):
    shape = (2, *config["input_size"], config["channels"])
    return (
        "```python\nimport numpy as np\nimport keras_tc2\n\n"
        f'encoder = keras_tc2.from_pretrained("{repo_id}")\n'
        f'images = np.zeros({shape}, "uint8")  # raw, 0 to 255\n'
        f"features = encoder.predict(images)  # (2, {config['feature_dim']})\n```"
    )


def _classifier(classes, repo_id):
    names = ", ".join(_cell(name) for name in classes[:50])
    more = f" and {len(classes) - 50} more" if len(classes) > 50 else ""
    return (
        f"It was fine-tuned to tell {len(classes)} classes apart: {names}{more}.\n\n"
        "```python\n"
        f'classifier = keras_tc2.Classifier.from_pretrained("{repo_id}")\n'
        "classifier.classify(images)\n```"
    )


def _training(training):
    if not training:
        return "Not recorded."
    command = training.get("command")
    lines = ["| | |", "|---|---|"]
    lines += [
        f"| {_cell(key)} | {_cell(value)} |"
        for key, value in training.items()
        if key != "command"
    ]
    text = "\n".join(lines)
    return text if command is None else f"{text}\n\n```sh\n{command}\n```"


def _table(rows):
    lines = ["| encoder | dataset | protocol | measure | % |", "|---|---|---|---|---:|"]
    lines += [
        f"| {_cell(row['encoder'])} | {_cell(row['dataset'])} | "
        f"{_cell(row['protocol'])} | {_cell(row.get('metric', 'accuracy'))} | "
        f"{100 * row['value']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _cell(value):
    return str(value).replace("|", "\\|").replace("\n", " ")


def _split_metadata(text):
    """Metadata must stay first in a card; the mark goes behind it."""
    head, end, body = text.partition("\n---\n")
    return (head + end, body) if text.startswith("---\n") else ("", text)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
