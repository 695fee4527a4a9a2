"""Pictures of the feature space while it forms: one dot an image, coloured by class."""

import pathlib
from typing import Any

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array, Figure, PathLike
from keras_tc2.callbacks.every_few_epochs import EveryFewEpochs
from keras_tc2.callbacks.watched_encoder import watched_encoder
from keras_tc2.reporting.palette import colour, marker
from keras_tc2.transfer.features.extraction import FeatureExtractor

MAX_IMAGES = 2000


class EmbeddingPlot(EveryFewEpochs):
    """Saves a two-dimensional picture of the features every few epochs.

    Args:
        images: array `(N, H, W, C)` of raw images, N >= 3; of more than 2,000 an even
            choice is shown.
        labels: array `(N,)`. Colours and markers, nothing else.
        folder: where `features_0001.png` and so on go. Defaults to `None`, no files.
        every_epochs: int >= 1. After the first epoch, every so many and the last.
            Defaults to `10`.
        method: `"pca"` (l2-normalised features, centred; axes comparable from epoch to
            epoch up to a turn) or `"tsne"` (neighbourhoods alone; slower). Defaults
            to `"pca"`.
        log_dir: folder of TensorBoard logs that the pictures go to as well. Defaults
            to `None`.
        seed: int. For t-SNE. Defaults to `0`.

    Attributes:
        pictures: list of `(figure, caption)`: the latest picture, for
            `TrainingReport`.

    Raises:
        ValueError: if images and labels differ in number, or an argument is unknown.
    """

    def __init__(
        self,
        images: Array,
        labels: Array,
        *,
        folder: PathLike | None = None,
        every_epochs: int = 10,
        method: str = "pca",
        log_dir: PathLike | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(every_epochs)
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim != 4 or labels.shape != images.shape[:1] or len(images) < 3:
            raise ValueError(
                "`images` must be (N, H, W, C) with N >= 3 and `labels` (N,). Received "
                f"shapes {images.shape} and {labels.shape}."
            )
        chosen = np.linspace(0, len(images) - 1, min(len(images), MAX_IMAGES))
        self.images = images[chosen.astype(int)]
        self.labels = labels[chosen.astype(int)]
        self.folder = None if folder is None else pathlib.Path(folder).expanduser()
        self.method = checks.one_of("method", method, PROJECTIONS)
        self.log_dir = None if log_dir is None else pathlib.Path(log_dir).expanduser()
        self.seed = seed
        self.pictures: list[tuple[Figure, str]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the encoder."""
        super().on_train_begin(logs)
        self.pictures = []
        self._extractor = FeatureExtractor(watched_encoder(self.model))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draws the picture, when it is its turn."""
        if not self.is_due(epoch):
            return
        features, _ = self._extractor(self.images, batch_size=256)
        if not np.isfinite(features).all():
            return
        points, axes = PROJECTIONS[self.method](features, self.seed)
        title = f"Features of {len(points)} images after epoch {epoch + 1}"
        figure = scatter(points, self.labels, title=title, axes=axes)
        self.pictures = [(figure, title + f" ({self.method.upper()}).")]
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(self.folder / f"features_{epoch + 1:04d}.png", dpi=110)
        if self.log_dir is not None:
            _to_tensorboard(figure, self.log_dir, epoch)


def scatter(points, labels, *, title, axes):
    """A `Figure` of points `(N, 2)`, with a colour and marker for each class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.4), layout="constrained")
    panel = figure.subplots()
    for index, value in enumerate(np.unique(labels)):
        chosen = points[labels == value]
        panel.scatter(
            *chosen.T,
            s=14,
            alpha=0.75,
            linewidths=0,
            color=colour(index),
            marker=marker(index),
            label=str(value),
        )
    panel.set_title(title)
    panel.set_xlabel(axes[0])
    panel.set_ylabel(axes[1])
    panel.grid(linewidth=0.3, alpha=0.5)
    if len(np.unique(labels)) <= 20:
        figure.legend(title="class", loc="outside right center", markerscale=1.6)
    return figure


def _pca(features, seed):
    from keras_tc2.transfer.features.cosine import unit_rows

    centred = unit_rows(features)
    centred = centred - centred.mean(axis=0)
    left, values, axes = np.linalg.svd(centred, full_matrices=False)
    # A turn by 180 degrees is not a change: the largest loading is positive.
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])
    shares = 100 * values**2 / max(np.sum(values**2), np.finfo("float32").tiny)
    names = [
        f"principal component {i + 1} ({shares[i]:.0f} % of variance)" for i in (0, 1)
    ]
    return left[:, :2] * values[:2] * signs, names


def _tsne(features, seed):
    from sklearn.manifold import TSNE

    from keras_tc2.transfer.features.cosine import unit_rows

    perplexity = min(30.0, (len(features) - 1) / 3)
    projection = TSNE(
        perplexity=perplexity, init="pca", random_state=seed, metric="cosine"
    )
    points = projection.fit_transform(unit_rows(features))
    return points, [f"t-SNE {i} (perplexity {perplexity:.0f})" for i in (1, 2)]


PROJECTIONS = {"pca": _pca, "tsne": _tsne}


def _to_tensorboard(figure, log_dir, epoch):
    import io

    import tensorflow as tf

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    writer = tf.summary.create_file_writer(str(log_dir))
    with writer.as_default():
        image = tf.io.decode_png(buffer.getvalue(), channels=3)[None]
        tf.summary.image("features", image, step=epoch)
    writer.close()
