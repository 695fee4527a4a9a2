"""The model that fine-tuning trains: an encoder, and a linear head on its features."""

import keras
import tensorflow as tf


class FineTuned(keras.Model):
    """Logits from images; encoder and head each have an optimizer of their own.

    Two optimizers, because Adam undoes a factor on gradients.

    Args:
        encoder: `keras.Model` from images to features `(B, D)`.
        num_classes: int.
        feature_dim: int. D.
        seed: int. Draws the head's weights.
    """

    def __init__(self, encoder, *, num_classes, feature_dim, seed, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.standardize = keras.layers.BatchNormalization(
            momentum=0.9, center=False, scale=False, dtype="float32"
        )
        self.head = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed),
            dtype="float32",
            name="head",
        )
        self.head.build((None, feature_dim))
        self.loss_mean = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def call(self, images, training=None):
        """Images `(B, H, W, C)` to logits `(B, num_classes)`."""
        features = keras.ops.cast(self.encoder(images, training=training), "float32")
        return self.head(self.standardize(features, training=training))

    def compile(self, *, optimizer, encoder_optimizer, **kwargs):
        """As Keras's; `encoder_optimizer` is the encoder's. The loss is fixed."""
        super().compile(optimizer=optimizer, **kwargs)
        self.encoder_optimizer = encoder_optimizer
        optimizer.build(self.head.trainable_variables)
        encoder_optimizer.build(self.encoder.trainable_variables)

    def train_step(self, data):
        """One step of both optimizers."""
        images, labels = data
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = self._cross_entropy(labels, logits)
        head = self.head.trainable_variables
        encoder = self.encoder.trainable_variables
        gradients = tape.gradient(loss, head + encoder)
        self.optimizer.apply_gradients(zip(gradients[: len(head)], head, strict=True))
        if encoder:
            self.encoder_optimizer.apply_gradients(
                zip(gradients[len(head) :], encoder, strict=True)
            )
        return self._measured(labels, logits, loss)

    def test_step(self, data):
        """Loss and accuracy of one batch."""
        images, labels = data
        logits = self(images, training=False)
        return self._measured(labels, logits, self._cross_entropy(labels, logits))

    def _cross_entropy(self, labels, logits):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(losses)

    def _measured(self, labels, logits, loss):
        self.loss_mean.update_state(loss, sample_weight=tf.shape(labels)[0])
        self.accuracy.update_state(labels, logits)
        return {metric.name: metric.result() for metric in self.metrics}


def freeze_first_layers(model, number):
    """Makes the first `number` layers with weights, in order of call, untrainable.

    Raises:
        ValueError: if the model has fewer.
    """
    layers = [layer for layer in _leaves(model) if layer.weights]
    if number > len(layers):
        raise ValueError(
            f"`num_frozen_layers` is {number}, and the encoder has {len(layers)} "
            "layers with weights."
        )
    for layer in layers[:number]:
        layer.trainable = False


def _leaves(layer):
    inner = getattr(layer, "layers", None)
    if not inner:
        return [layer]
    return [leaf for child in inner for leaf in _leaves(child)]
