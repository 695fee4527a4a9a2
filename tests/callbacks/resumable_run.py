"""A small run in a process of its own, for tests that kill it.

    python -m tests.callbacks.resumable_run FOLDER RESULT [JSON options]

Writes all weights of the finished run to RESULT.
"""

import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import augment, callbacks, data, layers
from keras_tc2.callbacks import checkpoint_file
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from tests import tiny

if tf.config.list_physical_devices("GPU"):
    # Runs that are compared bit for bit; a GPU's kernels add in no fixed order.
    tf.config.experimental.enable_op_determinism()

EPOCHS = 4
STEPS = 5


def new_model(kind="tc2", **arguments):
    """A pretrainer with dropout, so that seeds matter, and compiled."""
    keras.utils.set_random_seed(3)
    projector = keras.Sequential(
        [
            keras.Input((4,)),
            layers.ProjectionHead(4, hidden_dim=5),
            keras.layers.Dropout(0.1, seed=1),
        ]
    )
    if kind == "ssl":
        model = SSLPretrainer(tiny.encoder(), objective="nt_xent", projector=projector)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), **arguments)
        return model
    model = TC2Pretrainer(
        tiny.encoder(),
        objective="nt_xent",
        projector=projector,
        **tiny.WHOLE_TC2,
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.02, EPOCHS * STEPS)
    model.compile(
        keras.optimizers.Adam(schedule),
        calibrator_optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        metrics=[keras.metrics.CosineSimilarity()],
        **arguments,
    )
    return model


def new_views(source="array", seed=5):
    """Views of forty images, in batches of eight."""
    images = np.random.default_rng(0).random((40, *tiny.IMAGE_SHAPE), "float32")
    if source == "stream":
        images = tf.data.Dataset.from_tensor_slices(images)
    recipes = [augment.RandomHorizontalFlip(), augment.RandomVerticalFlip()]
    views = data.two_views(images, batch_size=8, augmentation=recipes, seed=seed)
    return views.repeat() if source == "repeated" else views


def train(
    folder, *, model=None, kind="tc2", source="array", more_callbacks=(), **arguments
):
    """The finished model."""
    model = model or new_model(kind)
    checkpoint = callbacks.ResumableCheckpoint(folder, **arguments)
    model.fit(
        new_views(source),
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        verbose=0,
        callbacks=[*more_callbacks, checkpoint],
    )
    return model


def state(model):
    """Weights and slots of all optimizers, by number."""
    found = [*model.variables]
    for optimizer, _ in model.optimized_variables:
        found += optimizer.variables
    return {str(n): np.asarray(v) for n, v in enumerate(found)}


class Slow(keras.callbacks.Callback):
    """Says where the run is, and leaves time to be killed."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def on_train_batch_end(self, batch, logs=None):
        print("step", int(self.model.optimizer.iterations), flush=True)
        time.sleep(self.seconds)


def stall_saves_from(number):
    """From the given save on, stops between the writing and the renaming of a file."""
    force_to_disk, count = os.fsync, 0

    def stall(descriptor):
        nonlocal count
        force_to_disk(descriptor)
        count += 1
        if count >= 2 * number - 1:  # Each save forces a file and a folder.
            print("saving", flush=True)
            time.sleep(600)

    checkpoint_file.os.fsync = stall


def main(folder, result, options="{}"):
    options = json.loads(options)
    tf.config.experimental.enable_op_determinism()
    slow = Slow(options.pop("seconds", 0))
    if "stall_save" in options:
        stall_saves_from(options.pop("stall_save"))
    model = train(pathlib.Path(folder), more_callbacks=[slow], **options)
    np.savez(result, **state(model))


if __name__ == "__main__":
    main(*sys.argv[1:])
