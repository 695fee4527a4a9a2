"""Notices that an encoder has stopped telling images apart, and says what to try."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Tensor
from keras_tc2.callbacks.held_batch import held_batch
from keras_tc2.callbacks.watched_encoder import watched_encoder
from keras_tc2.pretraining.core.forward import first_two
from keras_tc2.transfer.features import geometry

STATISTICS = (
    "feature_std",
    "feature_rank",
    "embedding_std",
    "embedding_rank",
    "alignment",
    "uniformity",
)
CURES = {
    "complete": (
        "The embeddings of different images are almost the same. Try a lower learning "
        "rate with warm-up, a larger batch, a higher temperature (contrastive "
        "objectives) or a larger variance weight (VICReg); check that the two views "
        "are not blank."
    ),
    "dimensional": (
        "The embeddings use only a few of their dimensions. Try a larger batch, a "
        "larger covariance weight (VICReg, Barlow Twins), a wider projection head or "
        "stronger augmentations."
    ),
    "nan": (
        "Training has diverged. Try a lower learning rate with warm-up, gradient "
        "clipping (`clipnorm`), float32 instead of float16, or a smaller "
        "`inner_learning_rate`; check the images for NaN."
    ),
}


class CollapseGuard(keras.callbacks.Callback):
    """Watches for collapse at the end of each epoch; warns, or stops the run.

    With `views` it encodes one batch of them, always the same, and adds to the logs:

    - `feature_std`, `embedding_std`: per-dimension standard deviation of l2-normalised
      features and embeddings over `1/sqrt(dim)`: 1 is an even spread, 0 collapse;
    - `feature_rank`, `embedding_rank`: effective rank (RankMe);
    - `alignment`: mean squared distance between the embeddings of two views;
    - `uniformity`: log mean Gaussian potential of the embeddings.

    Without `views` it judges what the model logs itself: a `loss` that is not finite,
    and `embedding_std`, which every pretrainer logs: that of its training batches, the
    mean over the epoch. Dimensional collapse can only be seen with `views`, whose
    `embedding_std`, in inference mode, takes the place of the model's own in the logs.

    Args:
        views: `tf.data.Dataset` of `(view_1, view_2)`, such as `fit` is given, whose
            first batch is used, or one such batch. It may be the dataset of training:
            nothing of it changes. Defaults to `None`.
        action: `"warn"` (once for each reason) or `"stop"`. Defaults to `"warn"`.
        min_std: float in [0, 1]. `embedding_std` below it is complete collapse.
            Defaults to `0.05`.
        min_rank: float in [0, 1]. An effective rank of the embeddings below this
            share of what the batch allows, `min(batch, dim)`, is dimensional collapse.
            Defaults to `0.05`.

    Attributes:
        reason: str or None. What was found, with likely cures.

    Raises:
        ValueError: in `fit`, after the first step, if there are no `views` and the
            model logs no `embedding_std`: a collapse could not be seen.

    Example:
    ```python
    from keras_tc2 import callbacks

    guard = callbacks.CollapseGuard(action="stop")
    ```
    """

    def __init__(
        self,
        views: tf.data.Dataset | Sequence[Tensor] | None = None,
        *,
        action: str = "warn",
        min_std: float = 0.05,
        min_rank: float = 0.05,
    ) -> None:
        super().__init__()
        self.views = views
        self.action = checks.one_of("action", action, ("warn", "stop"))
        self.min_std = checks.probability("min_std", min_std)
        self.min_rank = checks.probability("min_rank", min_rank)
        self.reason = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the batch that is watched."""
        self.reason = None
        self._warned: set[str] = set()
        self._batch = None
        if self.views is not None:
            self._batch = held_batch(self.views)
            if hasattr(self.model, "batch_of"):
                self._batch = self.model.batch_of(self._batch).views

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Refuses a model whose collapse could not be seen."""
        if self.views is None and "embedding_std" not in (logs or {}):
            raise ValueError(
                f"{type(self.model).__name__} logs no `embedding_std`, as pretrainers "
                "of keras_tc2 do, so CollapseGuard cannot see a collapse by the logs. "
                "Give it a batch to look at: `CollapseGuard(views)`. Received: "
                f"logs of {sorted(logs or {})}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the statistics to `logs`, and judges them."""
        logs = {} if logs is None else logs
        most_ranks = 0
        if self._batch is not None:
            features, *embeddings = self._encoded()
            logs.update(statistics(features, *embeddings))
            most_ranks = min(embeddings[0].shape)
        # The model's own is NaN if the epoch had no step to measure it by.
        measured = self._batch is not None or not math.isnan(logs["embedding_std"])
        if not math.isfinite(logs.get("loss", 0.0)):
            self._report("nan", epoch, f"the loss is {logs['loss']}")
        elif measured and not math.isfinite(logs["embedding_std"]):
            self._report("nan", epoch, "a feature or an embedding is not finite")
        elif logs["embedding_std"] < self.min_std:
            self._report(
                "complete",
                epoch,
                "the relative standard deviation of the embeddings is "
                f"{logs['embedding_std']:.3f} (1 is an even spread)",
            )
        elif most_ranks and logs["embedding_rank"] < self.min_rank * most_ranks:
            self._report(
                "dimensional",
                epoch,
                f"the effective rank of the embeddings is {logs['embedding_rank']:.1f} "
                f"of {most_ranks}",
            )

    def _encoded(self):
        """Features of view 1, and embeddings of two views, or of the one twice."""
        encoder = watched_encoder(self.model)
        encode = getattr(encoder, "encode", encoder)
        projector = getattr(self.model, "projector", None)
        features = [encode(view, training=False) for view in self._batch[:2]]
        embeddings = features
        if projector is not None:
            embeddings = [projector(values, training=False) for values in features]
        parts = (features[0], *first_two(embeddings))
        return [np.asarray(values, "float32") for values in parts]

    def _report(self, kind, epoch, finding):
        if kind in self._warned:
            return
        self._warned.add(kind)
        self.reason = f"After epoch {epoch + 1}, {finding}. {CURES[kind]}"
        if self.action == "stop":
            self.model.stop_training = True
            self.reason += " Training was stopped."
        warnings.warn(self.reason, stacklevel=2)


def statistics(features, embeddings_1, embeddings_2):
    """What `CollapseGuard` logs, from arrays `(B, D)`, `(B, d)` and `(B, d)`.

    NaN, all of them, where a number is not finite.
    """
    if not all(np.isfinite(a).all() for a in (features, embeddings_1, embeddings_2)):
        return dict.fromkeys(STATISTICS, math.nan)
    values = (
        geometry.relative_std(features),
        geometry.effective_rank(features),
        geometry.relative_std(embeddings_1),
        geometry.effective_rank(embeddings_1),
        geometry.alignment(embeddings_1, embeddings_2),
        geometry.uniformity(embeddings_1),
    )
    return dict(zip(STATISTICS, values, strict=True))
