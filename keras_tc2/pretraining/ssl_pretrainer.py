"""Plain self-supervised pre-training: the base objective alone."""

import keras
from keras import ops

from keras_tc2.pretraining.pretrainer import Pretrainer


@keras.saving.register_keras_serializable(package="keras_tc2")
class SSLPretrainer(Pretrainer):
    """Pre-trains an encoder with a base self-supervised objective.

    The baseline of every comparison: the objective on the projected features of two
    views, both passed through the encoder as one batch.

    Args:
        encoder: an `Encoder`.
        objective: an `Objective`, or the name of one (`objectives.names()`).
        projector: Keras layer or model from features to embeddings, or `None` for
            `ProjectionHead()`. Defaults to `None`.
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
        self, encoder, *, objective, projector=None, nonfinite_patience=0, **kwargs
    ):
        super().__init__(
            encoder,
            objective=objective,
            projector=projector,
            nonfinite_patience=nonfinite_patience,
            **kwargs,
        )
        self.built = True

    def compute_losses(self, view_1, view_2, task_ids=None, *, training=True):
        """`{"loss": objective(z1, z2)}`, and the embeddings of the views."""
        embeddings = self(ops.concatenate([view_1, view_2], axis=0), training=training)
        embeddings_1, embeddings_2 = ops.split(embeddings, 2, axis=0)
        loss = self.objective(embeddings_1, embeddings_2)
        return {"loss": loss}, (embeddings_1, embeddings_2)
