"""A frozen source encoder, and a small trainable one for what it misses."""

from typing import Any, Self

import keras
from keras import ops

from keras_tc2.annotations import Config, Tensor
from keras_tc2.checks import integer
from keras_tc2.transfer.classifiers.frozen_classifier import FrozenClassifier
from keras_tc2.transfer.features.adapt import image_shape_of
from keras_tc2.transfer.features.extraction import resolved
from keras_tc2.transfer.features.several_encoders import feature_dim_of


@keras.saving.register_keras_serializable(package="keras_tc2")
class ResidualFeatureClassifier(FrozenClassifier):
    """Classifies by the features of a frozen source encoder and of a trainable one.

        logits = W [LayerNorm(source(x)); LayerNorm(target(x))] + b

    The target encoder learns what the source's features lack, and where they are of no
    use at all, the model is still the target encoder trained from scratch: that guards
    against negative transfer [1]. The layer normalisations, without scale or shift,
    are the library's own: they put two encoders of any scale on one.

    Args:
        source: `keras.Model` from raw images to features `(batch, D)`, or the folder
            or Hub repository of a saved encoder. Runs in inference mode and does not
            train or change; it is saved with the model.
        target: `keras.Model` from the same images to features, which trains.
        num_classes: int >= 2.
        seed: int >= 0. Of the classifier's initial weights. Defaults to `0`.

    Call arguments:
        images: `(batch, H, W, C)`, raw, as both encoders take them.
        training: bool.

    Returns:
        Float tensor `(batch, num_classes)`, logits.

    Raises:
        ValueError: if the encoders take different images, or are one and the same.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), "uint8")
    source = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    target = tc2.encoders.create("convnet", input_shape=(28, 28, 1), widths=(8, 16))
    model = tc2.transfer.ResidualFeatureClassifier(source, target, num_classes=2)
    model.compile()
    model.fit(images, np.arange(20) % 2, epochs=1)
    ```

    References:
        - [1] Xu et al., 2025, arXiv 2505.11771
    """

    def __init__(
        self,
        source: keras.Model,
        target: keras.Model,
        num_classes: int,
        *,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.source = resolved(source)
        self.target = resolved(target)
        if self.source is self.target:
            raise ValueError(
                "`source` stays frozen and `target` trains, so they must be two models."
            )
        shapes = [image_shape_of(part) for part in (self.source, self.target)]
        if None not in shapes and shapes[0] != shapes[1]:
            raise ValueError(
                "`source` and `target` must take images of one shape. Received: "
                f"{shapes[0]} and {shapes[1]}"
            )
        self.num_classes = integer("num_classes", num_classes, at_least=2)
        self.seed = integer("seed", seed, at_least=0)
        self.normalization = keras.layers.LayerNormalization(
            center=False, scale=False, dtype="float32"
        )
        self.classifier = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype="float32",
        )
        widths = [feature_dim_of(part) for part in (self.source, self.target)]
        self.classifier.build((None, sum(widths)))
        self.built = True

    @property
    def frozen_parts(self) -> list[keras.Layer]:
        """The source encoder."""
        return [self.source]

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Logits."""
        source = ops.stop_gradient(self.source(images, training=False))
        target = self.target(images, training=training)
        features = [self.normalization(part) for part in (source, target)]
        return self.classifier(ops.concatenate(features, axis=-1))

    def get_config(self) -> Config:
        """The constructor arguments, both encoders included."""
        return {
            **super().get_config(),
            "source": keras.saving.serialize_keras_object(self.source),
            "target": keras.saving.serialize_keras_object(self.target),
            "num_classes": self.num_classes,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The classifier that `get_config` described, with fresh weights."""
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("source", "target")
        }
        return cls(**{**config, **parts})
