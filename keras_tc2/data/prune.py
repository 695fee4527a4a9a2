"""Which images are worth pre-training on, given images of the target."""

import dataclasses

import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import Array, Figure
from keras_tc2.augment.show_views import drawable


@dataclasses.dataclass(frozen=True)
class Pruning:
    """What `prune` kept.

    Attributes:
        kept: int array, indices into the source images, ascending.
        dropped: int array, the others.
        clusters: int array `(N,)`, the cluster of each source image.
        target_counts: int array `(num_clusters,)`, target images in each cluster.
        kept_clusters: int array, clusters of which an image was kept, the most used
            first.
    """

    kept: np.ndarray
    dropped: np.ndarray
    clusters: np.ndarray
    target_counts: np.ndarray
    kept_clusters: np.ndarray

    def plot(
        self, images: Array, *, num_clusters: int = 4, num_images: int = 6
    ) -> Figure:
        """Pictures of the most and the least used clusters.

        Args:
            images: array `(N, H, W, C)`, the source images, uint8 or float in [0, 1];
                channels are drawn as by `augment.show_views`.
            num_clusters: int >= 1, how many of each. Defaults to `4`.
            num_images: int >= 1, images of each. Defaults to `6`.

        Returns:
            `matplotlib.figure.Figure`.
        """
        from matplotlib.figure import Figure

        most_used = np.argsort(-self.target_counts, kind="stable")
        order = [c for c in most_used if np.any(self.clusters == c)]
        number = min(num_clusters, max(1, len(order) // 2))
        shown = [*order[:number], *order[-number:]]
        figure = Figure(
            figsize=(1 + num_images, 1.15 * len(shown) + 0.6), layout="constrained"
        )
        panels = figure.subplots(len(shown), num_images, squeeze=False)
        kept = np.isin(np.arange(len(self.clusters)), self.kept)
        for row, cluster in zip(panels, shown, strict=True):
            members = np.flatnonzero(self.clusters == cluster)
            share = kept[members].mean()
            row[0].set_ylabel(
                f"{self.target_counts[cluster]} of target\n{share:.0%} kept",
                rotation=0,
                ha="right",
                va="center",
                fontsize=8,
            )
            for place, panel in enumerate(row):
                panel.set_xticks([])
                panel.set_yticks([])
                if place < len(members):
                    image = np.asarray(images[members[place]])
                    panel.imshow(drawable(image), cmap="gray")
                else:
                    panel.set_frame_on(False)
        figure.suptitle("Clusters that the target uses most, and least", fontsize=10)
        return figure


def prune(
    source_features: Array,
    target_features: Array,
    *,
    keep: float,
    num_clusters: int | None = None,
    seed: int = 0,
) -> Pruning:
    """Drops source images that are least like the target's: feature mapping of [1].

    The features of the source set by a surrogate encoder are clustered by k-means;
    every target image falls into the cluster whose center is nearest; whole clusters
    are kept, those with the most target images first, until `keep` of the images are.
    Of the last cluster, those nearest to its center are kept. Clusters with as many
    target images as another come by the mean distance of the target to their centers,
    the nearer first: our reading, since [1] leaves ties open.

    Args:
        source_features: float array `(N, D)`, such as `transfer.extract_features` gives
            by an encoder that was pre-trained shortly, or by a published one.
        target_features: float array `(M, D)`, by the same encoder.
        keep: float in (0, 1], share of the source images that is kept.
        num_clusters: int >= 2, or `None` for √N, rounded. Defaults to `None`.
        seed: int >= 0, of k-means. Defaults to `0`.

    Returns:
        `Pruning`, whose `kept` indexes the smaller set.

    Raises:
        ValueError: if the features do not fit together, there are fewer source images
            than clusters, or an argument is out of its range.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import data

    generator = np.random.default_rng(0)
    source = generator.normal(size=(60, 4)) + 5 * np.eye(4)[np.arange(60) % 4]
    target = generator.normal(size=(20, 4)) + 5 * np.eye(4)[0]
    pruning = data.prune(source, target, keep=0.25, num_clusters=4)
    assert np.all(pruning.kept % 4 == 0)
    ```

    References:
        - [1] Zhang et al., 2023, "Selectivity Drives Productivity: Efficient Dataset
          Pruning for Enhanced Transfer Learning", NeurIPS
    """
    source = np.asarray(source_features, "float32")
    target = np.asarray(target_features, "float32")
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise ValueError(
            "Features must be (N, D) and (M, D), of one encoder. Received: shapes "
            f"{source.shape} and {target.shape}"
        )
    if not 0 < keep <= 1:
        raise ValueError(f"`keep` must be a share in (0, 1]. Received: keep={keep}")
    if num_clusters is None:
        num_clusters = max(2, round(len(source) ** 0.5))
    checks.integer("num_clusters", num_clusters, at_least=2)
    checks.integer("seed", seed, at_least=0)
    if len(source) < num_clusters or len(target) == 0:
        raise ValueError(
            f"There must be at least num_clusters={num_clusters} source images, and "
            f"one target image. Received: {len(source)} and {len(target)}"
        )
    # Slow to import, and seldom needed.
    from sklearn.cluster import KMeans

    means = KMeans(num_clusters, n_init=3, random_state=seed).fit(source)
    to_target = means.transform(target)
    counts = np.bincount(to_target.argmin(1), minlength=num_clusters)
    # Equal ones tie on every processor, whatever the scale of features.
    distances = to_target.mean(0)
    distances = np.round(distances / max(distances.max(), 1e-300), 5)
    order = np.lexsort((distances, -counts))
    place = np.empty(num_clusters, int)
    place[order] = np.arange(num_clusters)
    own = means.transform(source)[np.arange(len(source)), means.labels_]
    ranked = np.lexsort((own, place[means.labels_]))
    number = max(1, round(keep * len(source)))
    kept = np.sort(ranked[:number])
    dropped = np.sort(ranked[number:])
    used = np.isin(order, means.labels_[kept])
    return Pruning(kept, dropped, means.labels_, counts, order[used])
