"""SimCLR: a view finds the other one of its image among all other views of the batch.

Chen et al., 2020, arXiv 2002.05709. Of the paper: flip, and jitter in half strength,
as for CIFAR-10; LARS, warm-up, cosine; a two-layer head. For small images and a short
run: milder crops, a temperature of 0.2, and a higher rate than 0.3 for each 256 images.

    python examples/objectives/nt_xent.py
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
        objective=tc2.objectives.NTXent(temperature=0.2),
        projector=tc2.layers.ProjectionHead(64),
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=3.0, warmup_steps=steps // 10
    )
    model.compile(tc2.optimizers.LARS(schedule, l2_weight_decay=1e-6))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
