"""A CSV file that lists image files and their labels."""

import csv

from keras_tc2.data.file_images import FileImages
from keras_tc2.data.labels import check_labels, number_classes


def matches_csv(request):
    """Whether the source is an existing CSV file."""
    return request.path is not None and request.path.suffix.lower() == ".csv"


def read_csv(request):
    """Opens the files of the column `path`, which are relative to the CSV file.

    A column `label` holds class numbers or names, a column `split` the split.
    """
    path = request.path
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        rows = [(reader.line_num, row) for row in reader]
    needed = ["path", "label"] if request.labels else ["path"]
    if not set(needed) <= set(columns):
        raise ValueError(
            f"{str(path)!r} must have a header line with the columns {needed}. "
            f"Received: {columns}"
        )
    if "split" in columns:
        rows = [(line, row) for line, row in rows if row["split"] == request.split]
    else:
        request.refuse_split("A CSV file without a column `split`")
    if not rows:
        raise ValueError(f"{str(path)!r} lists no images of split {request.split!r}.")
    for line, row in rows:
        for column in needed:
            if not row[column]:
                raise ValueError(
                    f"{str(path)!r}, line {line}: the {column} is missing."
                )
    labels = None
    if request.labels:
        labels = _numbers([row["label"] for _, row in rows], request.class_names)
    paths = [str(path.parent / row["path"]) for _, row in rows]
    return FileImages(paths, labels, request, str(path)).dataset()


def _numbers(labels, class_names):
    """Class numbers of a column that holds numbers, or else names."""
    if class_names is None and all(_is_integer(label) for label in labels):
        return check_labels([int(label) for label in labels], len(labels))
    return number_classes(labels, class_names)


def _is_integer(text):
    return text.strip().removeprefix("-").isdecimal()
