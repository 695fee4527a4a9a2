"""A CSV file that lists image files and their labels."""

import csv
import itertools

from keras_tc2.data.sources.folder_manifest import IMAGE_SUFFIXES
from keras_tc2.data.sources.table_source import LABEL_KEYS, PATH_KEYS, read_table

DELIMITERS = ",;\t"
LOOKED_AT = 20


def matches_csv(request):
    """Whether the source is an existing file of comma or tab separated values."""
    path = request.path
    return path is not None and path.suffix.lower() in (".csv", ".tsv")


def read_csv(request):
    """Opens the files of the column `path`, which are relative to the CSV file.

    A column `label` holds class numbers or names, a column `split` the split. Without
    a header line, the column of image files is the paths, and a second one the labels.
    """
    path = request.path
    with open(path, newline="", encoding="utf-8-sig") as file:
        start = "".join(itertools.islice(file, LOOKED_AT))
        file.seek(0)
        reader = csv.reader(file, delimiter=_delimiter(start))
        rows = [(reader.line_num, row) for row in reader if row]
    where = repr(str(path))
    header = _made_up_header(rows, where)
    if header is None:
        header = [cell.strip() for cell in rows.pop(0)[1]]
    _check_columns(header, request, where)
    columns = {
        name: [row[place] if place < len(row) else "" for _, row in rows]
        for place, name in enumerate(header)
    }
    places = [f"line {line}" for line, _ in rows]
    return read_table(columns, places, request, path.parent, where)


def _delimiter(text):
    """What separates the cells; a comma if that cannot be told."""
    try:
        return csv.Sniffer().sniff(text, DELIMITERS).delimiter
    except csv.Error:
        return ","


def _made_up_header(rows, where):
    """Names for the columns of a file without a header line, else `None`."""
    if not rows:
        return []
    first = [cell.strip().lower() for cell in rows[0][1]]
    images = [
        place for place, cell in enumerate(first) if cell.endswith(IMAGE_SUFFIXES)
    ]
    if not images:
        return None
    if len(images) > 1 or len(first) > 2:
        raise ValueError(
            f"{where} has no header line, and of {len(first)} columns it cannot be "
            "told which are the paths and the labels: add a first line, such as "
            f"`path,label`. Received: {rows[0][1]}"
        )
    names = ["label"] * len(first)
    names[images[0]] = "path"
    return names


def _check_columns(columns, request, where):
    """Raises `ValueError` if there can be no paths, or no labels."""
    needed = [("path", request.image_key, PATH_KEYS)]
    if request.labels:
        needed.append(("label", request.label_key, LABEL_KEYS))
    if any(key is None and not set(usual) & set(columns) for _, key, usual in needed):
        raise ValueError(
            f"{where} must have a header line with the columns "
            f"{[name for name, _, _ in needed]}, or you name them, `image_key` and "
            f"`label_key`. Received: {columns}"
        )
