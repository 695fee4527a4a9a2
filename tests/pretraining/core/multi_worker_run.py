"""One worker of a run on loopback, or the whole run in one process, for a test.

    python -m tests.pretraining.core.multi_worker_run KIND FOLDER RESULT

TF_CONFIG says which worker it is; without it, as many replicas are logical devices of
one process. Each process writes its weights to RESULT with its number.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import augment, callbacks, data, layers, objectives, recipes
from keras_tc2.pretraining import BiSSLTrainer, SSLPretrainer, TC2Pretrainer
from tests import tiny


class Plain(augment.ImageAugmentation):
    """No randomness, so that dividing a batch changes no view."""

    def __init__(self, shift, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift

    def transform(self, images, seed):
        return tf.roll(images, self.shift, axis=2)


def new_model(kind):
    projector = layers.ProjectionHead(4, hidden_dim=5, synchronized=True)
    encoder = layers.synchronize(tiny.encoder())
    objective = objectives.NTXent(gather=True)
    if kind == "ssl":
        model = SSLPretrainer(encoder, objective=objective, projector=projector)
    elif kind == "bissl":
        model = BiSSLTrainer(
            encoder,
            projector,
            objective,
            downstream_head=3,
            warmup_steps=1,
            num_alternations=1,
            lower_steps=1,
            upper_steps=2,
        )
    else:
        model = TC2Pretrainer(
            encoder,
            objective="nt_xent",
            projector=projector,
            num_tasks=2,
            num_factors=3,
            **{**recipes.full_method(), "inner_scope": kind},
        )
    model.compile(keras.optimizers.SGD(0.05))
    return model


def main(kind, folder, result):
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    index = config.get("task", {}).get("index", 0)
    if config:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    keras.utils.set_random_seed(1)
    generator = np.random.default_rng(0)
    images = generator.random((32, *tiny.IMAGE_SHAPE), "float32")
    recipe = augment.Views([Plain(1), Plain(2)])
    views = data.two_views(images, batch_size=16, augmentation=recipe)
    if kind == "bissl":
        labelled = tf.data.Dataset.from_tensor_slices((images, np.arange(32) % 3))
        views = tf.data.Dataset.zip((views, labelled.batch(16, drop_remainder=True)))
    with strategy.scope():
        model = new_model(kind)
    checkpoint = callbacks.ResumableCheckpoint(folder, every_steps=1)
    history = model.fit(views, epochs=2, verbose=0, callbacks=[checkpoint]).history
    weights = {str(n): w for n, w in enumerate(model.get_weights())}
    loss = history.get("loss", [])
    np.savez(f"{result}.{index}.npz", loss=loss, **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
