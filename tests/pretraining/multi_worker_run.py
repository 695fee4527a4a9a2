"""One worker of a run on loopback, or the whole run in one process, for a test.

    python -m tests.pretraining.multi_worker_run FOLDER RESULT

TF_CONFIG says which worker it is. Each writes its weights to RESULT with its number.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import augment, callbacks, data, layers, objectives
from keras_tc2.pretraining import SSLPretrainer
from tests import tiny


class Plain(augment.ImageAugmentation):
    """No randomness, so that dividing a batch changes no view."""

    def __init__(self, shift, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift

    def transform(self, images, seed):
        return tf.roll(images, self.shift, axis=2)


def main(folder, result):
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    index = config.get("task", {}).get("index", 0)
    if config:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    keras.utils.set_random_seed(1)
    images = np.random.default_rng(0).random((32, *tiny.IMAGE_SHAPE), "float32")
    recipe = augment.Views([Plain(1), Plain(2)])
    views = data.two_views(images, batch_size=16, augmentation=recipe)
    with strategy.scope():
        model = SSLPretrainer(
            layers.synchronize(tiny.encoder()),
            objective=objectives.NTXent(gather=True),
            projector=layers.ProjectionHead(4, hidden_dim=5, synchronized=True),
        )
        model.compile(keras.optimizers.SGD(0.05))
    checkpoint = callbacks.ResumableCheckpoint(folder, every_steps=1)
    history = model.fit(views, epochs=2, verbose=0, callbacks=[checkpoint]).history
    weights = {str(n): w for n, w in enumerate(model.get_weights())}
    np.savez(f"{result}.{index}.npz", loss=history["loss"], **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
