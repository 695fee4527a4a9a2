"""Transfer in one call: an encoder, several datasets, several protocols, one report."""

import dataclasses
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_tc2.annotations import PathLike
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.reporting.report import TransferReport
from keras_tc2.transfer import registry
from keras_tc2.transfer.features.adapt import image_shape_of
from keras_tc2.transfer.features.encoder_name import encoder_name as name_of
from keras_tc2.transfer.features.extraction import FeatureExtractor, resolved
from keras_tc2.transfer.features.feature_cache import FeatureCache
from keras_tc2.transfer.features.sources import (
    named_sources,
    reads_files,
    train_and_test,
)
from keras_tc2.transfer.protocols.domain_set import DomainSet
from keras_tc2.transfer.protocols.downstream import Downstream
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.video import VideoSet
from keras_tc2.transfer.video.downstream import Videos
from keras_tc2.version import __version__


@unwrapped()
def evaluate(
    encoder: keras.Model | PathLike | None,
    datasets: str | Sequence[str] | Mapping[str, Any],
    *,
    protocols: str
    | Protocol
    | type[Protocol]
    | Sequence[str | Protocol | type[Protocol]] = ("knn", "linear"),
    data_dir: PathLike | None = None,
    cache_dir: PathLike | None = None,
    encoder_name: str | None = None,
    batch_size: int = 256,
    seed: int = 0,
    verbose: int = 0,
) -> TransferReport:
    """Measures how well an encoder's features serve datasets it was not trained on.

    Features of each dataset are extracted once and shared by all protocols that read
    features. Images are resized and converted to the encoder's shape; the report says
    where that happened. All datasets are opened before anything is measured. A protocol
    that then fails on one of them is reported, with a warning and among the notes, and
    the others go on.

    Args:
        encoder: an `Encoder` or any `keras.Model` from images to features `(B, D)`; a
            folder or Hub repository of a saved encoder; or None where the datasets
            hold features.
        datasets: a dataset name or a list of them, as `keras_tc2.data.load` knows
            them, with splits `"train"` and `"test"`; or a dict from name to
            `((x_train, y_train), (x_test, y_test))`, arrays of images or of features,
            to a pair of `tf.data.Dataset`s of `(image, label)`, to a pair of split
            names, to a `transfer.VideoSet`, or to a dict from domain name to any of
            those pairs or to a dataset name. Classes that have names, as labels or as
            `class_names`, are told apart by these, whatever each split numbers them. A
            test dataset that is shuffled anew on every pass is measured
            right, but `TransferReport.compare` takes its images for others.
        protocols: a name or protocol object, such as `KNN(k=5)`, or a sequence of them.
            The rows of a second `KNN` are `"knn (2)"`. Defaults to `("knn", "linear")`.
        data_dir: folder of prepared datasets. Defaults to `None`, TFDS's own.
        cache_dir: folder. Features are kept there and found again by the content of
            encoder and images. Defaults to `None`, kept for this call alone.
        encoder_name: str. The report's name of the encoder. Defaults to the name that
            the model was given, the folder or repository that it is from, or its
            builder.
        batch_size: int. Images encoded at once. Defaults to `256`.
        seed: int. Draws held-out parts and shots; `TransferReport.compare` pairs rows
            of equal seed. Defaults to `0`.
        verbose: int. `1` shows progress bars. Defaults to `0`.

    Returns:
        A `TransferReport`; its `failures` are what could not be measured.

    Raises:
        ValueError: if a dataset or protocol is unknown, or images do not fit the
            encoder.
        Exception: that of the first protocol, if nothing at all could be measured.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import transfer

    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    features = generator.normal(size=(120, 8)) + 2 * np.eye(8)[labels]
    report = transfer.evaluate(
        None,
        {"blobs": ((features[:90], labels[:90]), (features[90:], labels[90:]))},
        encoder_name="raw",
    )
    print(report)
    ```
    """
    chosen = registry.numbered(registry.get_all(protocols))
    sources = named_sources(datasets)
    if isinstance(encoder, str | os.PathLike):
        encoder_name = encoder_name or str(encoder)
    encoder = resolved(encoder)
    encoder_name = encoder_name or name_of(encoder)
    extract = _extraction(encoder, batch_size, cache_dir, verbose)
    channels = (image_shape_of(encoder) or (None,))[-1]

    def downstream_of(name, source):
        if isinstance(source, VideoSet):
            return Videos(name, source, encoder=encoder, seed=seed)
        has_domains = isinstance(source, dict)
        domains = source if has_domains else {name: source}
        splits = train_and_test(name, domains, data_dir, channels)
        parts = {
            key: Downstream(
                key, encoder=encoder, train=train, test=test, extract=extract, seed=seed
            )
            for key, (train, test) in splits.items()
        }
        for key, part in parts.items():
            if channels is not None and reads_files(key, domains[key]):
                part.notes.append(f"read with the {channels} channels of the encoder")
        return DomainSet(name, parts) if has_domains else parts[name]

    downstreams = {name: downstream_of(name, part) for name, part in sources.items()}
    rows, notes, failures, feature_seconds = [], [], [], {}
    first_error: Exception | None = None
    for name, downstream in downstreams.items():
        found: list[str] = []
        for protocol, number in chosen:
            if verbose:
                print(f"{name}: {type(protocol).__name__}", flush=True)
            shared = {"encoder": encoder_name, "dataset": name, "seed": seed}
            try:
                for row in _rows(protocol, downstream):
                    row["protocol"] = _name(row["protocol"], number)
                    rows.append({**shared, **row})
            except Exception as error:
                failures.append({**shared, **_failure(protocol, number, error)})
                if first_error is None:
                    first_error = error
                found.append(_failure_note(failures[-1]))
                warnings.warn(found[-1], stacklevel=3)
        # What was done to the data is known once they have been read.
        notes += [f"{name}: {note}" for note in downstream.notes] + found
        feature_seconds[name] = downstream.feature_seconds
    if first_error is not None and not rows:
        raise first_error
    settings = {
        "keras_tc2": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "batch_size": batch_size,
        "protocols": {
            _name(type(protocol).__name__, number): protocol.options
            for protocol, number in chosen
        },
        "feature_seconds": {encoder_name: feature_seconds},
    }
    return TransferReport(rows, settings=settings, notes=notes, failures=failures)


def _extraction(encoder, batch_size, cache_dir, verbose):
    if encoder is None:
        return None
    extractor = FeatureExtractor(encoder)

    def extract(images):
        return extractor(images, batch_size=batch_size, verbose=verbose)

    if cache_dir is None:
        return extract
    return FeatureCache(cache_dir, extract=extract, encoder=encoder)


def _name(name, number):
    """The name of the first of its kind, and `"name (2)"` of the second."""
    return name if number == 1 else f"{name} ({number})"


def _failure(protocol, number, error):
    name = _name(type(protocol).__name__, number)
    return {"protocol": name, "error": f"{type(error).__name__}: {error}"}


def _failure_note(failure):
    return f"{failure['dataset']}: {failure['protocol']} failed. {failure['error']}"


def _rows(protocol, downstream):
    """What one protocol measured; its seconds are shared among its scores."""
    start = time.perf_counter() - downstream.feature_seconds
    scores = protocol(downstream)
    seconds = time.perf_counter() - start - downstream.feature_seconds
    return [
        {**dataclasses.asdict(score), "seconds": seconds / len(scores)}
        for score in scores
    ]
