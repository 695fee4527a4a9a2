"""The small BiSSL trainers and batches that several tests share."""

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import layers
from keras_tc2.objectives import NTXent
from keras_tc2.pretraining import BiSSLTrainer
from tests import tiny

SHORT = {
    "warmup_steps": 1,
    "num_alternations": 2,
    "lower_steps": 2,
    "upper_steps": 1,
}
NUM_CLASSES = 3


def trainer(objective=None, *, encoder=None, projector=None, **arguments):
    return BiSSLTrainer(
        encoder or tiny.encoder(),
        projector or layers.ProjectionHead(4, hidden_dim=5),
        objective or NTXent(0.5),
        NUM_CLASSES,
        **{**SHORT, **arguments},
    )


def compiled(*arguments, learning_rate=0.05, **keywords):
    """A trainer that runs without tracing, moved off its start."""
    run_eagerly = keywords.pop("run_eagerly", True)
    model = trainer(*arguments, **keywords)
    tiny.move_off_the_start(model.trainable_variables)
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        upper_optimizer=keras.optimizers.SGD(learning_rate),
        head_optimizer=keras.optimizers.SGD(learning_rate),
        run_eagerly=run_eagerly,
    )
    return model


def labelled(seed=0, dtype="float32", batch_size=6):
    rng = np.random.default_rng(100 + seed)
    images = rng.random((batch_size, *tiny.IMAGE_SHAPE)).astype(dtype)
    return images, np.arange(batch_size) % NUM_CLASSES


def batch(seed=0, dtype="float32"):
    return tiny.views(seed=seed, dtype=dtype), labelled(seed, dtype)


def step_to(model, phase):
    """Makes steps, until the next is of the phase."""
    for seed in range(10):
        done = int(model.step_count)
        if model.phases.phase(done) == phase:
            return seed
        model.train_on_batch(*batch(seed))
    raise AssertionError(phase)


def values(variables):
    return [np.asarray(variable).copy() for variable in variables]


def assert_same(before, variables):
    for a, b in zip(before, values(variables), strict=True):
        np.testing.assert_array_equal(a, b)


def moved(before, variables):
    after = values(variables)
    return [np.any(a != b) for a, b in zip(before, after, strict=True)]


def zip_views(data):
    """`(views, images, labels)` as tensors."""
    views, (images, labels) = data
    return tuple(map(tf.constant, views)), tf.constant(images), tf.constant(labels)
