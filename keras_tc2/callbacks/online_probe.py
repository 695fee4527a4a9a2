"""Transfer accuracy at the end of epochs, among the other numbers of the run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.callbacks.every_few_epochs import LoggedMeasurement
from keras_tc2.callbacks.watched_encoder import watched_encoder
from keras_tc2.encoders.encoder import value_check
from keras_tc2.transfer import registry
from keras_tc2.transfer.features.extraction import FeatureExtractor
from keras_tc2.transfer.protocols.downstream import Downstream
from keras_tc2.transfer.protocols.protocol import Protocol


class OnlineProbe(LoggedMeasurement):
    """Evaluates the encoder on a labelled set of its own while it trains.

    The numbers enter the epoch's logs as `probe_knn_accuracy`,
    `probe_linear_accuracy` and so on, so `History`, `CSVLogger`, `TensorBoard` and
    `ModelCheckpoint(monitor=...)` see them: list this callback before those. Those of a
    second `KNN` are `probe_knn_2_accuracy`. An epoch without a measurement logs NaN.
    Nothing of the model changes.

    Args:
        train_images: array `(N, H, W, C)` of raw images, as the encoder takes them;
            other sizes and channels are adapted to the encoder's `image_shape`.
        train_labels: array `(N,)`.
        test_images: array `(M, H, W, C)`.
        test_labels: array `(M,)`.
        every_epochs: int >= 1. Measures after the first epoch, every so many epochs
            and after the last. Defaults to `1`.
        protocols: sequence of protocol names or objects, as `transfer.evaluate` takes
            them. Defaults to `("knn",)`.
        batch_size: int. Images encoded at once. Defaults to `256`.
        seed: int. What the protocols draw from. Defaults to `0`.
        prefix: str. First part of the names in the logs. Defaults to `"probe"`.

    Raises:
        ValueError: if images and labels differ in number, or a protocol is unknown;
            when training begins, if the encoder cannot take the images.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import callbacks

    images = np.zeros((40, 8, 8, 1), "uint8")
    labels = np.arange(40) % 2
    probe = callbacks.OnlineProbe(images, labels, images, labels, protocols=("knn",))
    ```
    """

    def __init__(
        self,
        train_images: Array,
        train_labels: Array,
        test_images: Array,
        test_labels: Array,
        *,
        every_epochs: int = 1,
        protocols: Sequence[str | Protocol] = ("knn",),
        batch_size: int = 256,
        seed: int = 0,
        prefix: str = "probe",
    ) -> None:
        super().__init__(every_epochs)
        self.batch_size = checks.integer("batch_size", batch_size)
        self.seed = seed
        self.prefix = prefix
        self.protocols = registry.get_all(protocols)
        self._train = _dataset("train", train_images, train_labels)
        self._test = _dataset("test", test_images, test_labels)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the encoder."""
        super().on_train_begin(logs)
        self._encoder = watched_encoder(self.model)
        self._extractor = FeatureExtractor(self._encoder)
        check_values = value_check(self._encoder)
        for pairs in (self._train, self._test):
            images, _ = next(iter(pairs.batch(self.batch_size)))
            check_values(images)
        self._downstream()

    def measure(self) -> dict[str, float]:
        """Returns `{name in the logs: value}` for the encoder as it is now."""
        downstream = self._downstream()
        measured = {}
        for protocol, number in registry.numbered(self.protocols):
            suffix = f"_{number}" if number > 1 else ""
            for score in protocol(downstream):
                name = f"{self.prefix}_{score.protocol}{suffix}_{score.metric}"
                measured[name] = score.value
        return measured

    def _downstream(self):
        return Downstream(
            self.prefix,
            encoder=self._encoder,
            train=self._train,
            test=self._test,
            extract=lambda images: self._extractor(images, batch_size=self.batch_size),
            seed=self.seed,
        )


def _dataset(split, images, labels):
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(images):
        raise ValueError(
            f"`{split}_images` must be (N, H, W, C) and `{split}_labels` (N,). "
            f"Received shapes {images.shape} and {labels.shape}."
        )
    return tf.data.Dataset.from_tensor_slices((images, labels))
