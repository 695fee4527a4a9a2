"""SimMIM: hides most patches of an image and draws their pixels.

Xie et al., 2022, arXiv 2111.09886. Of the paper: 60 % hidden, mild crops, flips, no
jitter, one view of each image, AdamW, warm-up, cosine. Pixels are drawn from the
embedding of the whole image (see `tc2.objectives.SimMIM`), so a wide one, by a linear
head: what is drawn must be in the features themselves.

    python examples/objectives/sim_mim.py
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
    recipe = tc2.augment.simclr(
        image_size=28, channels=1, strength=0.0, area_range=(0.67, 1.0)
    )
    views = tc2.data.multi_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.Views([recipe]),
    )
    steps = _EPOCHS.value * len(views)
    model = tc2.SSLPretrainer(
        encoder,
        objective=tc2.objectives.SimMIM(mask_ratio=0.6),
        projector=tc2.layers.ProjectionHead(256, num_layers=1),
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=1e-2, warmup_steps=steps // 10
    )
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.05))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
