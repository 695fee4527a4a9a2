"""DINO: a student foretells from small crops what a slow teacher says of large ones.

Caron et al., 2021, arXiv 2104.14294. Of the paper: multi-crop, AdamW, warm-up, cosine,
a centered and sharpened teacher whose momentum rises to 1, a three-layer head. For a
short run on small images: 256 outputs in place of 65536, two local views, momentum from
0.99 in place of 0.996.

    python examples/objectives/dino.py
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
    views = tc2.data.multi_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.multi_crop(
            image_size=28, local_size=14, num_local=2, channels=1
        ),
    )
    steps = _EPOCHS.value * len(views)
    momentum = tc2.optimizers.MomentumSchedule(0.99, num_steps=steps)
    model = tc2.SSLPretrainer(
        encoder,
        objective=tc2.objectives.DINO(output_dim=256, momentum=momentum),
        projector=tc2.layers.ProjectionHead(64, hidden_dim=256, num_layers=3),
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=5e-3, warmup_steps=steps // 10
    )
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.04))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
