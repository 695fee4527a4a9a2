"""BYOL: a predictor foretells what a slow copy of the model makes of the other view.

Grill et al., 2020, arXiv 2006.07733. Of the paper: its two unlike recipes, the second
solarised; LARS, warm-up, cosine; a target whose momentum rises to 1. For a short run it
starts from 0.99 in place of 0.996.

    python examples/objectives/byol.py
"""

import pathlib

import keras
from absl import app, flags

import keras_tc2 as tc2

DATA = pathlib.Path(__file__).parents[1] / "data"

_EPOCHS = flags.DEFINE_integer("epochs", 3, "Passes over the images.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Images a step.")
_IMAGES = flags.DEFINE_integer("images", 20_000, "Images to train on.")


def main(_):
    """Pre-trains on Fashion-MNIST without labels; prints kNN accuracy on MNIST."""
    keras.utils.set_random_seed(0)
    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    images = tc2.data.load("fashion_mnist_subset", data_dir=DATA).take(_IMAGES.value)
    views = tc2.data.two_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.byol(image_size=28, channels=1),
    )
    steps = _EPOCHS.value * len(views)
    momentum = tc2.optimizers.MomentumSchedule(0.99, num_steps=steps)
    model = tc2.SSLPretrainer(
        encoder,
        objective=tc2.objectives.BYOL(hidden_dim=256, momentum=momentum),
        projector=tc2.layers.ProjectionHead(64, hidden_dim=256),
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=3.0, warmup_steps=steps // 10
    )
    model.compile(tc2.optimizers.LARS(schedule, l2_weight_decay=1.5e-6))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
