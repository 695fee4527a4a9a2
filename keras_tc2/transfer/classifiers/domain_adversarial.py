"""Fine-tuning on one domain towards features that another domain shares."""

import keras
import tensorflow as tf

from keras_tc2.data.pipeline.epochs import shuffled_epochs
from keras_tc2.encoders import Classifier
from keras_tc2.layers import BatchNormalization, GradientReversal
from keras_tc2.transfer.features.extraction import image_dataset

# Width of the domain classifier's hidden layer, as for MNIST in the paper.
HIDDEN_DIM = 100


def reversal_factor(progress):
    """λ = 2 / (1 + exp(−10 p)) − 1, which rises from 0 to 1 [1, section 5.2.2].

    Args:
        progress: float tensor in [0, 1], p, the share of training that is done.

    Returns:
        Float tensor in [0, 1).

    References:
        - [1] Ganin et al., 2016, arXiv 1505.07818
    """
    return 2.0 / (1.0 + tf.exp(-10.0 * progress)) - 1.0


class DomainAdversarial(Classifier):
    """A `Classifier` in training, whose features shall not tell the domain of an image.

    A second classifier, of one hidden layer, tells source from target images by the
    standardised features, and the encoder gets its gradient reversed [1, eq. 9]:

        encoder:            ∂L_label − λ ∂(L_source + L_target)
        domain classifier:  ∂(L_source + L_target)

    L_source and L_target are its mean cross-entropies over the images of either domain.
    It learns at the learning rate of the head. Not taken from the paper: its schedule
    of learning rates and its SGD.

    Args:
        encoder, head: as of `Classifier`; they are what remains.
        feature_dim: int.
        num_steps: int. Steps of the whole training.
        weight: float >= 0. λ is that of `reversal_factor` times this; of the paper 1.
        seed: int. Of the weights of the domain classifier.

    Call arguments:
        images: `(source images, target images)` in training, which adds the domain
            classifier's loss; else images.
        training: bool.

    Returns:
        Logits of the source images, or of the images.

    References:
        - [1] Ganin et al., 2016, arXiv 1505.07818
    """

    def __init__(self, encoder, head, *, feature_dim, num_steps, weight, seed):
        super().__init__(encoder, head)
        self.num_steps = num_steps
        self.weight = weight
        self.reverse = GradientReversal()
        self.domain_standardization = BatchNormalization(
            center=False, scale=False, dtype="float32"
        )
        self.domain_standardization.build((None, feature_dim))

        def dense(units, input_dim, offset, activation=None):
            glorot = keras.initializers.GlorotUniform(seed + offset)
            layer = keras.layers.Dense(
                units, activation, kernel_initializer=glorot, dtype="float32"
            )
            layer.build((None, input_dim))
            return layer

        self.domain_hidden = dense(HIDDEN_DIM, feature_dim, 1, "relu")
        self.domain_logit = dense(1, HIDDEN_DIM, 2)
        self.domain_accuracy = keras.metrics.BinaryAccuracy(
            name="domain_accuracy", threshold=0.0
        )
        self.step = self.add_weight(
            shape=(), initializer="zeros", trainable=False, dtype="float32", name="step"
        )

    @property
    def head_variables(self):
        """Those of the head and of the domain classifier."""
        return [
            *super().head_variables,
            *self.domain_hidden.trainable_variables,
            *self.domain_logit.trainable_variables,
        ]

    def call(self, images, training=None):
        """Logits of source images."""
        if not isinstance(images, tuple | list):
            return super().call(images, training=training)
        number = tf.shape(images[0])[0]
        features = self.encoder(tf.concat(images, axis=0), training=training)
        self._tell_domains(features, number)
        # Standardised over both domains, as test images are of the target.
        return self.head(features, training=training)[:number]

    def _tell_domains(self, features, number):
        """Adds the loss of the domain classifier; the first `number` are source."""
        factor = self.weight * reversal_factor(self.step / self.num_steps)
        self.step.assign_add(1.0)
        features = self.reverse(tf.cast(features, "float32"), factor=factor)
        features = self.domain_standardization(features, training=True)
        logits = self.domain_logit(self.domain_hidden(features))
        is_source = tf.cast(tf.range(tf.shape(logits)[0])[:, None] < number, "float32")
        losses = tf.nn.sigmoid_cross_entropy_with_logits(is_source, logits)
        self.add_loss(tf.reduce_mean(losses[:number]))
        self.add_loss(tf.reduce_mean(losses[number:]))
        self.domain_accuracy.update_state(is_source, logits)


def target_dataset(images, train):
    """Unbatched images alone, of the shape and type that train has.

    Args:
        images: array `(N, H, W, C)`, or a dataset of images or of `(image, label)`.
        train: unbatched dataset of `(image, label)`.

    Raises:
        ValueError: if they differ in shape or type, or there are none.
    """
    images = image_dataset(images)
    if isinstance(images.element_spec, tuple):
        images = images.map(lambda image, *_: image)
    expected = train.element_spec[0]
    given = images.element_spec
    if not expected.is_compatible_with(given) or images.cardinality() == 0:
        raise ValueError(
            "`target_images` must hold images as train does, of shape "
            f"{expected.shape} and type {expected.dtype.name}, unbatched. Received: "
            f"{int(images.cardinality())} of shape {given.shape} and type "
            f"{given.dtype.name}"
        )
    return images


def with_targets(batches, target_images, *, batch_size, augmentation, seed):
    """Batches `((images, target images), labels)` from batches `(images, labels)`.

    Args:
        batches: `tf.data.Dataset`.
        target_images: what `target_dataset` gave; repeats as often as needed.
        batch_size: int. Target images a batch.
        augmentation: callable on a batch of images, or None.
        seed: int. Of their order.
    """
    targets = shuffled_epochs(target_images.cache(), 10_000, seed=seed)
    targets = targets.repeat().batch(batch_size)
    if augmentation is not None:
        targets = targets.map(augmentation)
    return tf.data.Dataset.zip(batches, targets).map(
        lambda source, target: ((source[0], target), source[1])
    )
