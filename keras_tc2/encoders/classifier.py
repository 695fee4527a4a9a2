"""A classifier: an encoder, and a head on its features."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_tc2.annotations import Array, Config, Images, PathLike, Shape, Tensor
from keras_tc2.compat import all_layers
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.encoders.encoder import with_checked_values
from keras_tc2.encoders.publishable import Publishable
from keras_tc2.layers.classification_head import ClassificationHead
from keras_tc2.optimizers.partwise import Partwise


@keras.saving.register_keras_serializable(package="keras_tc2")
class Classifier(Publishable, keras.Model):
    """Logits of classes from raw images: what fine-tuning gives, and what is shipped.

    A `keras.Model` that is trained by `compile` and `fit`, saved by
    `save("classifier.keras")` or, where the encoder was made by `encoders.create`, by
    `save_pretrained` and `push_to_hub`, whose folder also holds the encoder alone.

    Args:
        encoder: `Encoder`, or any built `keras.Model` from images to features
            `(batch, features)`.
        head: `layers.ClassificationHead`, another layer from features to logits, or an
            int, the number of classes. It is built here if it is not yet.
        classes: sequence of what each logit stands for, names or numbers, or `None` for
            0, 1, ... Defaults to `None`.

    Call arguments:
        images: raw images, as the encoder takes them.
        training: bool, as in Keras.

    Returns:
        Float tensor `(batch, num_classes)`, logits; `classify` gives classes.

    Attributes:
        classes: list, or `None`.

    Raises:
        ValueError: if `classes` are not as many as the logits.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=(4,))
    model = tc2.encoders.Classifier(encoder, 2, classes=["cat", "dog"])
    model.compile("adam", encoder_optimizer=keras.optimizers.Adam(1e-4))
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), "uint8")
    model.fit(images, np.arange(6) % 2, verbose=0)
    assert set(model.classify(images)) <= {"cat", "dog"}
    ```
    """

    def __init__(
        self,
        encoder: keras.Model,
        head: keras.Layer | int,
        *,
        classes: Sequence[str | int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.encoder = encoder
        if not isinstance(head, keras.layers.Layer):
            head = ClassificationHead(head, name="head")
        if not head.built:
            head.build((None, _feature_dim(encoder)))
        self.head = head
        self.classes = None if classes is None else [_plain(name) for name in classes]
        if self.classes is not None:
            self._check_classes()
        self.built = True

    def _check_classes(self):
        number = self.compute_output_shape((None,))[-1]
        if len(self.classes) != number:
            raise ValueError(
                f"`classes` must name each of the {number} logits. Received: "
                f"{len(self.classes)}"
            )

    def call(self, images: Tensor, training: bool | None = None) -> Tensor:
        """Logits of raw images."""
        features = self.encoder(images, training=training)
        return self.head(features, training=training)

    @unwrapped()
    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As of `keras.Model`, on raw images, whose values are looked at first."""
        return super().fit(with_checked_values(x, self.encoder), *args, **kwargs)

    @unwrapped()
    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As of `keras.Model`, on raw images, whose values are looked at first."""
        return super().evaluate(with_checked_values(x, self.encoder), *args, **kwargs)

    @unwrapped()
    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """As of `keras.Model`, on raw images, whose values are looked at first."""
        return super().predict(with_checked_values(x, self.encoder), *args, **kwargs)

    def classify(self, images: Images, *, batch_size: int = 256) -> Array:
        """The most probable class of each image.

        Args:
            images: array of raw images, or what else `predict` takes.
            batch_size: int >= 1. Defaults to `256`.

        Returns:
            Array `(N,)` of entries of `classes`; of indices if it is `None`.
        """
        logits = self.predict(images, batch_size=batch_size, verbose=0)
        indices = np.argmax(logits, axis=1)
        return indices if self.classes is None else np.asarray(self.classes)[indices]

    def compile(
        self,
        optimizer: str | keras.Optimizer = "adam",
        *,
        encoder_optimizer: str | keras.Optimizer | None = None,
        loss: Any = None,
        metrics: Sequence[Any] | None = ("accuracy",),
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`.

        Where a layer computes in float16, the loss is scaled.

        Args:
            optimizer: optimizer, or the name of one: of the head, and of the encoder
                where that has none of its own.
            encoder_optimizer: the encoder's, or `None`. Defaults to `None`.
            loss: as in Keras; `None` for the cross-entropy of integer labels. Defaults
                to `None`.
            metrics: as in Keras. Defaults to `("accuracy",)`.
            **kwargs: the other arguments of `keras.Model.compile`.
        """
        optimizer = keras.optimizers.get(optimizer)
        self._compiled_with = {
            "optimizer": optimizer,
            "encoder_optimizer": encoder_optimizer
            and keras.optimizers.get(encoder_optimizer),
            "loss": loss,
            "metrics": list(metrics or []),
            **kwargs,
        }
        if encoder_optimizer is not None:
            optimizer = Partwise([optimizer, self._compiled_with["encoder_optimizer"]])
            optimizer.divide([self.head_variables, self.encoder.trainable_variables])
        if _computes_in_float16(self):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        super().compile(
            optimizer,
            loss=loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=list(metrics or []),
            auto_scale_loss=False,
            **kwargs,
        )
        self.optimizer.build(self.trainable_variables)

    @property
    def head_variables(self) -> list[keras.Variable]:
        """What `optimizer` trains where the encoder has one of its own."""
        return self.head.trainable_variables

    def get_compile_config(self) -> Config | None:
        """The arguments of `compile`, for a saved model to be compiled again."""
        if not self.compiled:
            return None
        return keras.saving.serialize_keras_object(self._compiled_with)

    def compile_from_config(self, config: Config) -> None:
        """Compiles as `get_compile_config` described."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the layers of the encoder; arguments as in `keras.Model.summary`."""
        return self.encoder.summary(*args, **kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, num_classes)."""
        return self.head.compute_output_shape(
            (input_shape[0], _feature_dim(self.encoder))
        )

    @property
    def image_shape(self) -> Shape:
        """(height, width, channels) of the images."""
        if hasattr(self.encoder, "image_shape"):
            return self.encoder.image_shape
        return tuple(self.encoder.input_shape[1:])

    def get_config(self) -> Config:
        """Returns every constructor argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "head": keras.saving.serialize_keras_object(self.head),
            "classes": self.classes,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The classifier that `get_config` described."""
        parts = {
            part: keras.saving.deserialize_keras_object(config[part])
            for part in ("encoder", "head")
        }
        return cls(**{**config, **parts})

    def save_pretrained(self, folder: PathLike) -> None:
        """Writes encoder and head to a folder, for `Classifier.from_pretrained`.

        The folder is one of the encoder (see `Encoder.save_pretrained`) with
        `classifier/` beside its files.

        Args:
            folder: str or path; made if it is not there.

        Raises:
            ValueError: if the encoder was wrapped around a model, or the head is no
                `ClassificationHead`: such could not be loaded without running code.
        """
        from keras_tc2.encoders.saved_classifier import save_classifier

        save_classifier(self, folder)

    @classmethod
    def from_pretrained(
        cls,
        repo_id_or_folder: PathLike,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: PathLike | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        trainable: bool = True,
    ) -> "Classifier":
        """Loads a classifier; arguments and errors as of `keras_tc2.from_pretrained`.

        Raises:
            FileNotFoundError: if the folder holds an encoder alone.
        """
        from keras_tc2.encoders.saved_classifier import load_classifier

        return load_classifier(
            repo_id_or_folder,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            trainable=trainable,
        )


def _feature_dim(encoder):
    if hasattr(encoder, "feature_dim"):
        return encoder.feature_dim
    return encoder.output_shape[-1]


def _plain(name):
    """A number or string of NumPy as Python's, which JSON holds."""
    return name.item() if isinstance(name, np.generic) else name


def _computes_in_float16(model):
    return any(
        getattr(layer, "compute_dtype", None) == "float16"
        for layer in all_layers(model)
    )
