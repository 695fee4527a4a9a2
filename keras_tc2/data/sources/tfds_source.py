"""TensorFlow Datasets: by name, or as a prepared directory."""

import dataclasses
import difflib
import os
import pathlib
import re

from keras_tc2.data.sources.dataset_source import format_elements
from keras_tc2.data.sources.element_keys import LABEL_KEYS, choose_key
from keras_tc2.data.sources.image_dataset import ImageDataset
from keras_tc2.data.sources.labels import names_of_numbers

INFO_FILE = "dataset_info.json"
NAME = re.compile(r"[A-Za-z][\w-]*(:[\d.*]+|/[\w./-]+(:[\d.*]+)?)?")


def matches_prepared(request):
    """Whether the source is a folder that TFDS prepared, or of versions of it."""
    path = request.path
    return path is not None and bool(_versions(path))


def read_prepared(request):
    """Opens a prepared directory; of several versions, the newest."""
    import tensorflow_datasets as tfds

    newest = max(_versions(request.path), key=_version_key)
    return _read(tfds.builder_from_directory(newest), request)


def matches_name(request):
    """Whether the source can be the name of a dataset."""
    return isinstance(request.source, str) and NAME.fullmatch(request.source)


def read_name(request):
    """Opens a dataset by name, and prepares it first if it is not prepared."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(request.source, data_dir=request.data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(_unknown(request)) from error
    if not builder.is_prepared():
        _prepare(builder, request)
    return _read(builder, request)


def prepared_names(data_dir):
    """Names of the datasets that are prepared in `data_dir`."""
    import tensorflow_datasets as tfds

    root = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    infos = (*root.glob(f"*/*/{INFO_FILE}"), *root.glob(f"*/*/*/{INFO_FILE}"))
    return sorted({"/".join(info.relative_to(root).parts[:-2]) for info in infos})


def _read(builder, request):
    """The split of a prepared builder, in the format asked for."""
    import tensorflow_datasets as tfds

    try:
        dataset = builder.as_dataset(
            split=request.split,
            shuffle_files=False,
            read_config=tfds.ReadConfig(add_tfds_id=False),
        )
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"Dataset {builder.name!r} has the splits {sorted(builder.info.splits)}, "
            'which can be cut as in "train[:80%]". Received: '
            f"split={request.split!r}"
        ) from error
    features = builder.info.features
    if builder.info.supervised_keys:
        image_key, label_key = builder.info.supervised_keys[:2]
        request = dataclasses.replace(
            request,
            image_key=request.image_key or image_key,
            label_key=request.label_key or label_key,
        )
    dataset = format_elements(dataset, request)
    names = None
    if request.labels:
        label_key = choose_key("label", request.label_key, features, LABEL_KEYS)
        names = getattr(features[label_key], "names", None)
    return ImageDataset(dataset, class_names=names_of_numbers(names, request))


def _prepare(builder, request):
    """Downloads a dataset; says what is there if that is impossible."""
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise ValueError(
            f"Dataset {request.source!r} is not prepared and could not be downloaded: "
            f"{type(error).__name__}: {error}. {_what_is_prepared(request)}"
        ) from error


def _unknown(request):
    """The message for a name that nobody knows."""
    import tensorflow_datasets as tfds

    prepared = prepared_names(request.data_dir)
    known = [*prepared, *tfds.list_builders(with_community_datasets=False)]
    close = difflib.get_close_matches(request.source, known, n=5, cutoff=0.5)
    hint = f"Close names: {', '.join(close)}. " if close else ""
    return (
        f"{request.source!r} is no existing file or folder, and no dataset of TFDS. "
        f"{hint}{_what_is_prepared(request)}"
    )


def _what_is_prepared(request):
    if request.data_dir and not pathlib.Path(request.data_dir).expanduser().is_dir():
        return f"There is no folder {str(request.data_dir)!r} in {os.getcwd()!r}."
    prepared = prepared_names(request.data_dir)
    where = repr(str(request.data_dir)) if request.data_dir else "TFDS's folder"
    return f"Prepared in {where}: {', '.join(prepared) or 'nothing'}."


def _versions(path):
    """The prepared directories that `path` is, or holds as versions."""
    if (path / INFO_FILE).is_file():
        return [path]
    if not path.is_dir():
        return []
    return [info.parent for info in path.glob(f"*/{INFO_FILE}")]


def _version_key(path):
    return [int(part) if part.isdigit() else -1 for part in path.name.split(".")]
