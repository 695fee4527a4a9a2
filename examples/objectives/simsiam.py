"""SimSiam: a predictor and a stopped gradient, and no slow copy, no negatives.

Chen and He, 2021, arXiv 2011.10566. Of the paper: SimCLR's views, SGD with momentum and
a cosine, weight decay, a head of three layers whose output is batch-normalised too, and
a predictor with a bottleneck of a quarter.

    python examples/objectives/simsiam.py
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
        augmentation=tc2.augment.small_images(image_size=28, channels=1),
    )
    steps = _EPOCHS.value * len(views)
    model = tc2.SSLPretrainer(
        encoder,
        objective=tc2.objectives.SimSiam(),
        projector=keras.Sequential(
            [
                tc2.layers.ProjectionHead(256, hidden_dim=256, num_layers=3),
                tc2.layers.BatchNormalization(scale=False, center=False),
            ]
        ),
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=steps)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9, weight_decay=5e-4))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
