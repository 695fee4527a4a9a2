"""Which of several source classifiers together suit a dataset, before training."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array, Images
from keras_tc2.encoders import Classifier
from keras_tc2.reporting.markdown_table import markdown_table
from keras_tc2.transfer.features.labelled_features import checked_labels
from keras_tc2.transfer.features.several_encoders import features_of_each
from keras_tc2.transfer.scores.osborn import osborn_terms, sum_of_terms


def choose_ensemble(
    classifiers: Mapping[str, tuple[Any, Images]],
    images: Images,
    labels: Array,
    *,
    size: int | None = None,
    max_images: int = 1000,
    batch_size: int = 256,
    seed: int = 0,
) -> "EnsembleChoice":
    """Chooses source classifiers one after the other by OSBORN, the best first.

    The gain of adding one to a set is by how much −`scores.osborn` rises, which is
    never above zero; −OSBORN is submodular, since what a pair costs is not negative, so
    a classifier gains the less the more there are already. Each step takes the
    classifier with the largest gain, of equal ones the first. So a set of `size`
    is chosen after M `size` sums rather than all sets [1]; it need not be the best of
    them.

    Images are resized, and turned from grey to color or back, where a classifier
    takes another shape.

    Args:
        classifiers: dict from names to `(classifier, source images)`: a
            `keras_tc2.Classifier`, or the folder or repository of one, and images that
            it was trained on, an array or unbatched `tf.data.Dataset`.
        images: array `(N, H, W, C)`, or unbatched dataset, of target images.
        labels: array `(N,)`.
        size: int >= 1, how many are chosen, or `None` for the order of all. Defaults to
            `None`.
        max_images: int >= 1. Of `scores.domain_difference`. Defaults to `1000`.
        batch_size: int >= 1. Defaults to `256`.
        seed: int >= 0. Draws images where there are more. Defaults to `0`.

    Returns:
        `EnsembleChoice`.

    Raises:
        ValueError: if `classifiers` is no dict, holds none, fewer than `size` or
            something else, or images and labels differ in number.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2 as tc2

    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), "uint8")

    def classifier():
        encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=(4,))
        return tc2.Classifier(encoder, 3)

    sources = {"same": (classifier(), images), "darker": (classifier(), images // 4)}
    choice = tc2.transfer.choose_ensemble(sources, images, np.arange(40) % 2, size=1)
    print(choice)
    ```

    References:
        - [1] Bachu et al., 2023, arXiv 2309.02429
    """
    checks.integer("batch_size", batch_size)
    checks.mapping("classifiers", classifiers)
    sources = {name: _source(name, source) for name, source in classifiers.items()}
    if not sources:
        raise ValueError("`classifiers` must hold at least one. Received none.")
    size = len(sources) if size is None else checks.integer("size", size)
    if size > len(sources):
        raise ValueError(
            f"`size` must be at most the {len(sources)} classifiers. Received: "
            f"size={size}"
        )
    members = []
    for classifier, source_images in sources.values():
        (source,), (target,) = (
            features_of_each(
                [classifier.encoder], part, cache_dir=None, batch_size=batch_size
            )[0]
            for part in (source_images, images)
        )
        logits = keras.ops.convert_to_numpy(classifier.head(target, training=False))
        members.append((source, target, logits.argmax(axis=1)))
    labels = checked_labels(labels, len(members[0][1]))
    terms = osborn_terms(members, labels, max_images=max_images, seed=seed)
    return EnsembleChoice(list(sources), terms, size)


def _source(name, source):
    if isinstance(source, tuple) and len(source) == 2:
        classifier, images = source
        if isinstance(classifier, str | os.PathLike):
            classifier = Classifier.from_pretrained(classifier)
        if isinstance(classifier, Classifier):
            return classifier, images
    raise ValueError(
        "`classifiers` must be a dict from names to (classifier, source images), such "
        "as `transfer.fine_tune(...)['model']` or `Classifier(encoder, head)`. "
        f"Received for {name!r}: {type(source).__name__} {source!r:.60}"
    )


class EnsembleChoice:
    """Classifiers in the order in which they were chosen: printed, it is a table.

    Args:
        names: list of str.
        terms: what `scores.osborn_terms` gave for them.
        size: int. How many are chosen.

    Attributes:
        chosen: list of str, in order.
        gains: list of floats <= 0, what each added to −OSBORN; none is above the one
            before.
        osborn: float, OSBORN of all that were chosen.
        rows: list of dicts, one for each that was chosen.
    """

    def __init__(
        self, names: Sequence[str], terms: Mapping[str, Array], size: int
    ) -> None:
        self._names, self._terms = list(names), terms
        self.rows: list[dict[str, Any]] = []
        positions: list[int] = []
        for _ in range(size):
            paired = terms["cohesion"][:, positions].sum(axis=1)
            costs = terms["domain"] + terms["task"] + paired
            costs[positions] = np.inf
            best = int(costs.argmin())
            positions.append(best)
            self.rows.append(
                {
                    "classifier": self._names[best],
                    "domain_difference": float(terms["domain"][best]),
                    "task_difference": float(terms["task"][best]),
                    "cohesion": float(paired[best]),
                    "gain": -float(costs[best]),
                    "osborn": self.score([self._names[i] for i in positions]),
                }
            )
        self.chosen = [row["classifier"] for row in self.rows]
        self.gains = [row["gain"] for row in self.rows]
        self.osborn = self.rows[-1]["osborn"]

    def score(self, names: Sequence[str]) -> float:
        """OSBORN of any set of the classifiers, by their names; lower is better."""
        names = [checks.one_of("names", name, self._names) for name in names]
        return float(sum_of_terms(self._terms, map(self._names.index, set(names))))

    def to_markdown(self) -> str:
        """The table, as a string."""
        columns = ["domain_difference", "task_difference", "cohesion", "gain", "osborn"]
        return markdown_table(
            ["classifier", *(column.replace("_", " ") for column in columns)],
            (
                [row["classifier"], *(f"{row[column]:.3f}" for column in columns)]
                for row in self.rows
            ),
            num_text_columns=1,
        )

    def __str__(self) -> str:
        """The Markdown table."""
        return self.to_markdown()

    def __repr__(self) -> str:
        """The names in order."""
        return f"<EnsembleChoice: {', '.join(self.chosen)}>"
