"""A model with an encoder and a projector, as small as a callback test needs."""

import keras
import numpy as np
import tensorflow as tf


class TinyPretrainer(keras.Model):
    """Draws two views' embeddings together; collapses when `learning_rate` is high."""

    def __init__(self, *, size=6, dim=4):
        super().__init__()
        self.encoder = keras.Sequential(
            [
                keras.Input((size, size, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(dim),
            ],
            name="tiny_encoder",
        )
        self.projector = keras.Sequential([keras.Input((dim,)), keras.layers.Dense(3)])

    def call(self, view):
        return self.projector(self.encoder(view))

    def train_step(self, data):
        with tf.GradientTape() as tape:
            difference = self(data[0]) - self(data[1])
            loss = tf.reduce_mean(difference**2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True)
        )
        return {"loss": loss}


def tiny_views(*, number=32, size=6, batch_size=16, seed=0):
    """A dataset of `(view_1, view_2)` batches, float32 in [0, 1]."""
    generator = np.random.default_rng(seed)
    views = generator.uniform(size=(2, number, size, size, 1)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((views[0], views[1])).batch(
        batch_size, drop_remainder=True
    )
