"""A process that decodes in Python and is ended in the middle of it, for a test.

    python -m tests.data.ending_run FOLDER HOW CHECKPOINTS

HOW is `broken` (an image stops the iteration), `exit`, `exception` (in a callback),
`augmentation` (the same, while views are made in Python), or the name of a signal that
arrives during `fit`.
"""

import os
import signal
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_tc2 import callbacks, data, encoders
from keras_tc2.pretraining import SSLPretrainer


class End(keras.callbacks.Callback):
    """Ends the run after its second step."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1 and self.how in ("exception", "augmentation"):
            raise RuntimeError("of a callback")
        if batch == 1:
            os.kill(os.getpid(), getattr(signal, self.how))


def augment_in_python(images):
    """Takes a while, half of it without a hold on the interpreter."""
    time.sleep(0.02)
    return images * np.random.uniform(size=images.shape)


def main(folder, how, checkpoints):
    # A process that was started in the background ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    on_error = "raise" if how == "broken" else "skip"
    images = data.load(folder, image_size=16, channels=3, on_error=on_error)
    if how in ("broken", "exit"):
        for number, _ in enumerate(images):
            if how == "exit" and number == 1:
                sys.exit(3)
        return
    encoder = encoders.create("convnet", input_shape=(16, 16, 3), widths=(4,))
    model = SSLPretrainer(encoder, objective="nt_xent")
    model.compile("sgd")
    used = [End(how)]
    if how == "SIGTERM":
        used.append(callbacks.ResumableCheckpoint(checkpoints))
    augmentation = augment_in_python if how == "augmentation" else None
    views = data.two_views(images, batch_size=8, augmentation=augmentation)
    model.fit(views, epochs=9, steps_per_epoch=6, verbose=0, callbacks=used)


if __name__ == "__main__":
    main(*sys.argv[1:])
