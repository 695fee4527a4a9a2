"""Which of several encoders suits a dataset, before anything is trained."""

import json
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array, Images, PathLike
from keras_tc2.reporting.markdown_table import markdown_table
from keras_tc2.transfer.features.encoder_name import encoder_name
from keras_tc2.transfer.features.extraction import resolved
from keras_tc2.transfer.features.labelled_features import checked_labels
from keras_tc2.transfer.features.several_encoders import features_of_each
from keras_tc2.transfer.scores.h_score import h_score
from keras_tc2.transfer.scores.knn_score import knn_score
from keras_tc2.transfer.scores.log_me import log_me
from keras_tc2.transfer.scores.ped import ped

# Those that need no head of the source task; of each, higher is better.
SCORES = {"log_me": log_me, "h_score": h_score, "knn_score": knn_score, "ped": ped}


def rank_encoders(
    encoders: Sequence[Any] | Mapping[str, Any],
    images: Images,
    labels: Array,
    *,
    scores: Sequence[str | Callable[[Array, Array], float]] = (
        "log_me",
        "h_score",
        "knn_score",
    ),
    batch_size: int = 256,
    cache_dir: PathLike | None = None,
) -> "EncoderRanking":
    """Scores encoders on labelled images of the target task, the best first.

    Features are extracted once an encoder; images are resized, and turned from grey to
    color or back, where it takes another shape. How well each score agrees with real
    linear probes is in `benchmarks/transfer/README.md`.

    Args:
        encoders: list, or dict from names, of `Encoder`s, `keras.Model`s from images to
            features, and folders or Hub repositories of saved encoders.
        images: array `(N, H, W, C)`, or unbatched `tf.data.Dataset` of images.
        labels: array `(N,)`.
        scores: names, of `"log_me"`, `"h_score"`, `"knn_score"` and `"ped"`, or
            functions of features `(N, D)` and labels `(N,)` to a float, higher being
            better; those are called by their `__name__`. Defaults to the first three.
        batch_size: int >= 1. Defaults to `256`.
        cache_dir: folder where features are kept, or `None`. Defaults to `None`.

    Returns:
        `EncoderRanking`.

    Raises:
        ValueError: if there are fewer than two encoders, a score is unknown, two
            encoders have one name, or images and labels differ in number.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), "uint8")
    encoders = {
        f"width {width}": tc2.encoders.create(
            "convnet", input_shape=(8, 8, 1), widths=(width,)
        )
        for width in (4, 8)
    }
    print(tc2.transfer.rank_encoders(encoders, images, np.arange(40) % 2))
    ```
    """
    named = _named(encoders)
    functions = dict(_function(score) for score in scores)
    if not functions:
        raise ValueError(f"`scores` must name at least one of {', '.join(SCORES)}.")
    rows = []
    for name, encoder in named.items():
        start = time.perf_counter()
        (features,), _ = features_of_each(
            [encoder], images, cache_dir=cache_dir, batch_size=batch_size
        )
        labels = checked_labels(labels, len(features))
        row = {"encoder": name}
        row |= {key: float(score(features, labels)) for key, score in functions.items()}
        rows.append({**row, "seconds": time.perf_counter() - start})
    return EncoderRanking(rows, list(functions))


class EncoderRanking:
    """Encoders by their scores: printed, it is a table.

    Encoders are ordered by their mean rank over the scores; of equal ones the earlier
    comes first. A score that is NaN ranks last.

    Args:
        rows: list of dicts with `encoder`, each score, and `seconds`.
        scores: list of str, names of the scores.

    Attributes:
        rows: the list in order, each with `mean_rank`, 1 being the best of all scores.
        scores: as above.
    """

    def __init__(self, rows: Sequence[dict[str, Any]], scores: Sequence[str]) -> None:
        self.scores = list(scores)
        values = np.array([[row[score] for score in self.scores] for row in rows])
        values = np.where(np.isnan(values), -np.inf, values)
        # Equal values share the mean of their ranks.
        below = (values[None] > values[:, None]).sum(1)
        equal = (values[None] == values[:, None]).sum(1)
        ranks = (below + (equal + 1) / 2).mean(1)
        self.rows = [
            {**rows[place], "mean_rank": float(ranks[place])}
            for place in np.argsort(ranks, kind="stable")
        ]

    @property
    def best(self) -> str:
        """The name of the encoder in front."""
        return self.rows[0]["encoder"]

    def to_markdown(self) -> str:
        """The table, as a string."""
        return markdown_table(
            ["encoder", *self.scores, "mean rank", "seconds"],
            [
                [
                    row["encoder"],
                    *(f"{row[score]:.4f}" for score in self.scores),
                    f"{row['mean_rank']:.2f}",
                    f"{row['seconds']:.1f}",
                ]
                for row in self.rows
            ],
            num_text_columns=1,
        )

    def to_json(self, path: PathLike | None = None) -> str:
        """The rows as JSON; written to `path` if there is one."""
        text = json.dumps({"scores": self.scores, "rows": self.rows}, indent=1)
        if path is not None:
            path = pathlib.Path(path).expanduser()
            path.write_text(text + "\n", encoding="utf-8")
        return text

    def __str__(self) -> str:
        """The table."""
        return self.to_markdown()


def _named(encoders):
    if not isinstance(encoders, dict):
        pairs = [(_name(encoder), encoder) for encoder in encoders]
        encoders = dict(pairs)
        if len(encoders) < len(pairs):
            raise ValueError(
                "Two encoders have one name: give a dict from names. Received: "
                f"{[name for name, _ in pairs]}"
            )
    if len(encoders) < 2:
        raise ValueError(
            f"At least two encoders can be ranked. Received: {len(encoders)}"
        )
    return {name: resolved(encoder) for name, encoder in encoders.items()}


def _name(encoder):
    is_model = callable(encoder)
    return encoder_name(encoder) if is_model else str(encoder)


def _function(score):
    if callable(score):
        return score.__name__, score
    return score, SCORES[checks.one_of("scores", score, list(SCORES))]
