"""The upper level of BiSSL: the downstream task, its loss and its gradients."""

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.bilevel import value_and_gradients
from keras_tc2.checks import integer
from keras_tc2.layers import ClassificationHead
from keras_tc2.precision import at_least_float32
from keras_tc2.pretraining.core.forward import assigned


def unpack(data):
    """`(views, images, labels)` from a batch of the zipped dataset.

    Raises:
        ValueError: if it is not `((view_1, view_2), (images, labels))`.
    """
    parts = tuple(data) if isinstance(data, tuple | list) else (data,)
    if parts[-1] is None:  # The sample weights of `train_on_batch`.
        parts = parts[:-1]
    if len(parts) == 2 and all(isinstance(part, tuple | list) for part in parts):
        views, labelled = parts
        if len(labelled) == 2:
            return tuple(views), *labelled
    shapes = keras.tree.map_structure(lambda x: getattr(x, "shape", x), data)
    raise ValueError(
        "`BiSSLTrainer` is trained on batches of ((view_1, view_2), (images, labels)): "
        "`tf.data.Dataset.zip((views, labelled))`, both batched and, since the shorter "
        f"one ends the epoch, repeated. Received: {shapes}"
    )


def head_of(downstream_head, feature_dim):
    """The built layer that `downstream_head` stands for, a number for a linear one."""
    if not isinstance(downstream_head, keras.layers.Layer):
        num_classes = integer("downstream_head", downstream_head, at_least=2)
        downstream_head = ClassificationHead(
            num_classes, standardize=False, name="downstream_head"
        )
    if not downstream_head.built:
        downstream_head.build((None, feature_dim))
    return downstream_head


class Downstream:
    """Classification by an encoder and the head, and how its loss is derived.

    Args:
        encoder: the lower `Encoder`.
        upper_encoder: the upper one.
        head: built Keras layer from features to logits.
        direct_weight: float >= 0. γ.
    """

    def __init__(self, encoder, upper_encoder, head, *, direct_weight):
        self.encoder = encoder
        self.upper_encoder = upper_encoder
        self.head = head
        self.direct_weight = direct_weight

    def check_batch(self, images, labels):
        """Raises `ValueError` if images or labels are not what a step needs."""
        height, width, channels = self.encoder.image_shape
        if len(images.shape) != 4 or images.shape[-1] != channels:
            raise ValueError(
                f"The labelled images must be {('batch', height, width, channels)}. "
                f"Received: shape={tuple(images.shape)}"
            )
        if len(labels.shape) != 1 or not tf.as_dtype(labels.dtype).is_integer:
            raise ValueError(
                "The labels must be whole class numbers of shape (batch,), from 0; of "
                "one-hot rows take `tf.argmax(labels, -1)`. Received: shape="
                f"{tuple(labels.shape)}, dtype={labels.dtype}"
            )

    def loss(self, encoder, images, labels, *, training, encoder_training):
        """F, the mean cross-entropy of the head on the encoder's features."""
        views = encoder.as_views(images)
        features = encoder.encode(views, training=encoder_training)
        logits = at_least_float32(self.head(features, training=training))
        losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return ops.mean(losses)

    def upper_loss(self, images, labels, *, training):
        """F(θ_L, φ_U) + γ F(θ_U, φ_U)."""

        def of(encoder):
            return self.loss(
                encoder, images, labels, training=training, encoder_training=training
            )

        loss = of(self.encoder)
        if self.direct_weight:
            loss += self.direct_weight * of(self.upper_encoder)
        return loss

    def head_gradients(self, images, labels, *, scale):
        """Of the warm-up: the upper encoder is frozen, in inference mode.

        Returns:
            `(loss, gradients, state)`: F, those of `scale` · F aligned with the head's
            variables, and what the pass left behind.
        """

        def loss_of(_):
            loss = self.loss(
                self.upper_encoder,
                images,
                labels,
                training=True,
                encoder_training=False,
            )
            return scale * loss, loss

        with keras.StatelessScope() as scope:
            (_, loss), gradients = value_and_gradients(
                loss_of, self.head.trainable_variables
            )
        return loss, gradients, assigned(scope, self.head.non_trainable_variables)

    def gradients(self, images, labels, lower, upper, *, scale):
        """Of the upper loss, in both encoders and the head.

        Args:
            images: `(batch, H, W, C)`.
            labels: `(batch,)`.
            lower: list of variables, θ_L.
            upper: list of variables, θ_U.
            scale: scalar, what the losses are multiplied by.

        Returns:
            `(loss, in_lower, in_upper, in_head, state)`: the upper loss, lists of
            gradients aligned with `lower`, `upper` and the head's variables, and what
            the pass left behind. The lower encoder's state is not in it: only lower
            steps move that.
        """

        def loss_of(_):
            loss = self.upper_loss(images, labels, training=True)
            return scale * loss, loss

        head = self.head.trainable_variables
        with keras.StatelessScope() as scope:
            (_, loss), gradients = value_and_gradients(loss_of, [*lower, *upper, *head])
        state = assigned(
            scope,
            [
                *self.upper_encoder.non_trainable_variables,
                *self.head.non_trainable_variables,
            ],
        )
        in_lower, rest = gradients[: len(lower)], gradients[len(lower) :]
        return loss, in_lower, rest[: len(upper)], rest[len(upper) :], state
