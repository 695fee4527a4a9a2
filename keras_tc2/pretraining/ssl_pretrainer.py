"""Plain self-supervised pre-training: the base objective alone."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_tc2.annotations import Augmentation, Tensor
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.objectives.objective import AnyObjective
from keras_tc2.pretraining.core.batch import Batch
from keras_tc2.pretraining.core.pretrainer import Pretrainer
from keras_tc2.pretraining.core.saved_parts import SavedPretrainer


@keras.saving.register_keras_serializable(package="keras_tc2")
class SSLPretrainer(SavedPretrainer, Pretrainer):
    """Pre-trains an encoder with a base self-supervised objective.

    The baseline of every comparison: the objective on the projected features of two
    views, both passed through the encoder as one batch.

    Args:
        encoder: an `Encoder`.
        objective: an `Objective`, or the name of one (`objectives.names()`).
        projector: Keras layer or model from features to embeddings, or `None` for
            `ProjectionHead()`. Defaults to `None`.
        augmentation: as for `data.two_views` (a layer, `Views`, a list of M recipes),
            to make the views within the step, on its device, of what `data.batches`
            gives; `None` for data of ready views. Defaults to `None`.
        nonfinite_patience: int >= 0. How many updates in a row may be skipped
            because of a NaN or infinite loss or gradient before `fit` stops.
            Defaults to `0`.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_tc2 as tc2

    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), "uint8")
    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    model = tc2.SSLPretrainer(encoder, objective=tc2.objectives.NTXent())
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    augmentation = tc2.augment.simclr(image_size=28, channels=1)
    views = tc2.data.two_views(images, batch_size=32, augmentation=augmentation)
    model.fit(views, epochs=1)
    ```

    References:
        - Chen et al., 2020, arXiv 2002.05709
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        objective: AnyObjective,
        projector: keras.Layer | None = None,
        augmentation: Augmentation | None = None,
        nonfinite_patience: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            encoder,
            objective=objective,
            projector=projector,
            augmentation=augmentation,
            nonfinite_patience=nonfinite_patience,
            **kwargs,
        )
        self.built = True

    def compute_losses(
        self, batch: Batch, *, training: bool = True
    ) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
        """`{"loss": objective(...)}`, and the embeddings of the first two views."""
        forward = self.forward(batch.views, training=training)
        loss = self.objective(*forward.outputs, targets=forward.targets)
        return {"loss": loss}, forward.first_two_embeddings
