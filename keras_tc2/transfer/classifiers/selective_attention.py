"""Attention over the features of several frozen encoders, for few labels."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_tc2.annotations import Array, Config, Figure, Images, PathLike, Tensor
from keras_tc2.checks import integer, non_negative, one_of, positive
from keras_tc2.transfer.classifiers.attention_figure import attention_figure
from keras_tc2.transfer.classifiers.attention_pooling import (
    QUERIES,
    SCALING,
    AttentionPooling,
)
from keras_tc2.transfer.classifiers.frozen_classifier import FrozenClassifier
from keras_tc2.transfer.features.extraction import resolved
from keras_tc2.transfer.features.several_encoders import (
    feature_dim_of,
    features_of_each,
)

# Defaults, which `compare_encoders` has too.
DIM, TEMPERATURE, QUERY, ENTROPY_WEIGHT, BATCH_SIZE = 64, 1.0, "mean", 0.0, 256


@keras.saving.register_keras_serializable(package="keras_tc2")
class SelectiveAttentionClassifier(FrozenClassifier):
    """Weighs frozen encoders sample by sample, and classifies what it took of them.

    That attention over several self-supervised encoders serves a task with few labels
    better than one of them is the claim of [1]; its formulas were not available, and
    these are the library's own. For features h_m of encoder m:

        u_m = LayerNorm(W_m (h_m − mean) / scale + b_m)
        a = softmax_m(⟨W_q mean_m(u_m), W_k u_m⟩ / (dim · temperature))
        logits = W_c Σ_m a_m W_v u_m + b

    minimising cross-entropy + `entropy_weight` · entropy(a). W_q starts at zero, so all
    encoders weigh the same until labels move it; what then aligns queries with keys
    makes scores grow with dim, hence dim in place of its root. Mean and scale (one
    number an encoder) are those of the first images it was fitted to.

    `fit`, `evaluate`, `predict` and `attention` take raw images, which every encoder
    encodes once, resized as it needs; or the features that `encode` gave, to encode but
    once for many calls. The encoders never train or change. They are saved with the
    model, so it loads without the folders or repositories they came from.

    Args:
        encoders: list of `keras.Model`s from images to features `(batch, D_m)`, or
            folders or Hub repositories of saved encoders.
        num_classes: int >= 2.
        dim: int >= 1. Width of u. Defaults to `64`.
        temperature: float > 0. Defaults to `1.0`.
        query: `"mean"` as above; `"learned"`, the same query for all samples; `"none"`,
            equal weights; `"scaling"`, no attention but learned factors ω_m, one a
            dimension, as ScaLearn scales the outputs of its sources [2]: logits =
            W_c W_v Σ_m ω_m ⊙ u_m + b. They start at 1 / encoders and need not sum to
            one. Defaults to `"mean"`.
        entropy_weight: float >= 0. Above zero, attention concentrates. Defaults to
            `0.0`, which `"scaling"` requires.
        cache_dir: str, path or `None`. Folder that keeps features. Defaults to `None`.
        batch_size: int >= 1. Images encoded at once. Defaults to `256`.
        seed: int >= 0. Of the initial weights. Defaults to `0`.

    Call arguments:
        features: list of float tensors `(batch, D_m)`.
        training: bool.

    Returns:
        Float tensor `(batch, num_classes)`, logits.

    Raises:
        ValueError: if an argument is out of its range, or an encoder does not say the
            width of its features.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), "uint8")
    labels = np.arange(20) % 2
    encoders = [
        tc2.encoders.create("convnet", input_shape=(28, 28, 1)),
        tc2.encoders.create("convnet", input_shape=(16, 16, 3)),
    ]
    model = tc2.transfer.SelectiveAttentionClassifier(encoders, num_classes=2)
    model.compile()
    model.fit(images, labels, epochs=2)
    weights = model.attention(images)  # (20, 2), every row sums to one
    ```

    References:
        - [1] Yao et al., 2022, arXiv 2204.05248
        - [2] Frohmann et al., 2023, arXiv 2310.01217
    """

    def __init__(
        self,
        encoders: Sequence[keras.Model],
        num_classes: int,
        *,
        dim: int = DIM,
        temperature: float = TEMPERATURE,
        query: str = QUERY,
        entropy_weight: float = ENTROPY_WEIGHT,
        cache_dir: PathLike | None = None,
        batch_size: int = BATCH_SIZE,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(encoders, list | tuple) or not encoders:
            raise ValueError(
                "`encoders` must be a list of at least one encoder. Received: "
                f"{encoders!r}"
            )
        self.encoders = [resolved(encoder) for encoder in encoders]
        self.num_classes = integer("num_classes", num_classes, at_least=2)
        self.dim = integer("dim", dim)
        self.temperature = positive("temperature", temperature)
        self.query = one_of("query", query, [*QUERIES, SCALING])
        self.entropy_weight = non_negative("entropy_weight", entropy_weight)
        if query == SCALING and entropy_weight:
            raise ValueError(
                "Factors of `query='scaling'` are no distribution and have no entropy: "
                f"leave out `entropy_weight`. Received: {entropy_weight}"
            )
        self.cache_dir = None if cache_dir is None else str(cache_dir)
        self.batch_size = integer("batch_size", batch_size)
        self.seed = integer("seed", seed, at_least=0)
        self.feature_dims = [feature_dim_of(encoder) for encoder in self.encoders]
        self.pooling = AttentionPooling(
            self.feature_dims,
            dim=dim,
            temperature=temperature,
            query=query,
            seed=seed,
            name="pooling",
        )
        self.classifier = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype="float32",
            name="classifier",
        )
        self.classifier.build((None, dim))
        self.built = True

    @property
    def frozen_parts(self) -> list[keras.Layer]:
        """The encoders."""
        return self.encoders

    # Features.

    def encode(self, images: Images) -> list[Array]:
        """Features by every encoder.

        Args:
            images: array `(N, H, W, C)`, or an unbatched `tf.data.Dataset` of images
                or of `(image, label)`.

        Returns:
            List of float32 arrays `(N, D_m)`.
        """
        return self._encoded(images)[0]

    def _encoded(self, x):
        """`(features, labels or None)` of images; features pass, if they fit."""
        if not isinstance(x, list | tuple):
            return features_of_each(
                self.encoders,
                x,
                cache_dir=self.cache_dir,
                batch_size=self.batch_size,
            )
        features = [np.asarray(part, "float32") for part in x]
        shapes = [part.shape for part in features]
        widths = [shape[1:] for shape in shapes]
        if widths != [(dim,) for dim in self.feature_dims]:
            raise ValueError(
                "Features must be one array (N, D_m) an encoder, with D_m = "
                f"{self.feature_dims}. Received shapes: {shapes}"
            )
        return features, None

    # The model.

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Logits; adds the entropy of attention to the losses."""
        pooled, attention = self.pooling(features)
        if training and self.entropy_weight:
            surprise = -ops.log(ops.maximum(attention, 1e-12))
            entropy = ops.mean(ops.sum(attention * surprise, axis=-1))
            self.add_loss(self.entropy_weight * entropy)
        return self.classifier(pooled)

    def fit(
        self, x: Any, y: Any = None, *, validation_data: Any = None, **kwargs: Any
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`, on raw images or on features that `encode` gave.

        Args:
            x: images as `encode` takes them, or a list of features.
            y: int array `(N,)`; `None` where a dataset brings labels.
            validation_data: `(x, y)` likewise, or `None`.
            **kwargs: as in `keras.Model.fit`.
        """
        features, y = self._with_labels(x, y)
        self.pooling.standardize_by(features)
        if validation_data is not None:
            validation_data = self._with_labels(*validation_data)
        return super().fit(features, y, validation_data=validation_data, **kwargs)

    def evaluate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`; `x` and `y` as in `fit`."""
        # Keras calls this inside `fit`, without data of its own to give.
        if x is None:
            return super().evaluate(x, y, **kwargs)
        return super().evaluate(*self._with_labels(x, y), **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> Array:
        """Logits `(N, num_classes)`; `x` as in `fit`."""
        return super().predict(self._encoded(x)[0], **kwargs)

    def _with_labels(self, x, y):
        features, labels = self._encoded(x)
        y = labels if y is None else y
        if y is None:
            raise ValueError(
                "Labels are missing: give `y`, or a dataset of (image, label)."
            )
        return features, np.asarray(y)

    def attention(self, x: Any) -> Array:
        """How much of each encoder each sample is given.

        Args:
            x: images or features, as in `fit`.

        Returns:
            Float array `(N, encoders)`; every row sums to one. Of `query="scaling"`
            the mean factor of each encoder, the same in every row.
        """
        return ops.convert_to_numpy(self.pooling(self._encoded(x)[0])[1])

    def plot_attention(
        self,
        x: Any,
        y: Any,
        *,
        names: Sequence[str] | None = None,
        path: PathLike | None = None,
    ) -> Figure:
        """Draws the attention of every sample, sorted by class, and its class means.

        Args:
            x: images or features, as in `fit`.
            y: int array `(N,)`, the classes.
            names: list of str, one an encoder; `None` for the encoders' own names.
            path: file to write, or `None`.

        Returns:
            `matplotlib.figure.Figure`.
        """
        names = names or [encoder.name for encoder in self.encoders]
        return attention_figure(self.attention(x), np.asarray(y), names, path=path)

    # What saving needs.

    def get_config(self) -> Config:
        """The constructor arguments, the encoders themselves included."""
        return {
            **super().get_config(),
            "encoders": [
                keras.saving.serialize_keras_object(encoder)
                for encoder in self.encoders
            ],
            "num_classes": self.num_classes,
            "dim": self.dim,
            "temperature": self.temperature,
            "query": self.query,
            "entropy_weight": self.entropy_weight,
            "cache_dir": self.cache_dir,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The classifier that `get_config` described, with fresh weights."""
        encoders = [
            keras.saving.deserialize_keras_object(encoder)
            for encoder in config["encoders"]
        ]
        return cls(**{**config, "encoders": encoders})
