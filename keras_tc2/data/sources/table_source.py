"""Tables of image files and labels: data frames, and what CSV files hold."""

import os
import pathlib

from keras_tc2.data.sources.element_keys import choose_key
from keras_tc2.data.sources.file_images import file_images
from keras_tc2.data.sources.labels import number_labels

PATH_KEYS = ("path", "image_path", "filepath", "file", "filename", "file_name", "image")
LABEL_KEYS = ("label", "class", "target", "category")


def matches_frame(request):
    """Whether the source is a data frame, such as one of pandas."""
    return all(hasattr(request.source, name) for name in ("columns", "iloc", "index"))


def read_frame(request):
    """Opens the files that a column of a data frame names."""
    frame = request.source
    columns = {str(name): list(frame[name]) for name in frame.columns}
    places = [f"row {index!r}" for index in frame.index]
    return read_table(columns, places, request, pathlib.Path(), "The data frame")


def read_table(columns, places, request, folder, where):
    """Opens the files of a column, whose labels another one holds.

    Args:
        columns: dict from the names of the columns to lists of their values. `split`
            chooses rows; the others are `image_key` and `label_key` of the request, or
            told by their names.
        places: list of str, what messages call each row.
        request: `Request`.
        folder: path that the files are relative to.
        where: str, the table as messages name it.
    """
    keys = {"path": choose_key("image", request.image_key, columns, PATH_KEYS)}
    if request.labels:
        keys["label"] = choose_key("label", request.label_key, columns, LABEL_KEYS)
    rows = range(len(places))
    if "split" in columns:
        rows = [row for row in rows if columns["split"][row] == request.split]
    else:
        request.refuse_split(f"{where}, without a column `split`,")
    if not rows:
        raise ValueError(f"{where} lists no images of split {request.split!r}.")
    for row in rows:
        for kind, key in keys.items():
            if _is_missing(columns[key][row]):
                raise ValueError(f"{where}, {places[row]}: the {kind} is missing.")
    labels = class_names = None
    if request.labels:
        labels, class_names = number_labels(
            [columns[keys["label"]][row] for row in rows],
            len(rows),
            request.class_names,
        )
    paths = [_in_folder(folder, columns[keys["path"]][row]) for row in rows]
    return file_images(paths, labels, request, where, class_names)


def _is_missing(value):
    """Whether a cell is empty, `None`, NaN or the NA of pandas."""
    if isinstance(value, str):
        return not value
    return str(value) in ("None", "nan", "<NA>")


def _in_folder(folder, name):
    """The path of a file, whichever slashes the system that listed it has."""
    path = folder / pathlib.Path(name).expanduser()
    if "\\" in str(name) and os.sep == "/" and not path.exists():
        path = folder / str(name).replace("\\", "/")
    return str(path)
