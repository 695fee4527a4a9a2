"""VICReg: views agree, every dimension keeps its spread, no two say the same.

Bardes et al., 2022, arXiv 2105.04906. Of the paper: BYOL's recipes, LARS, warm-up,
cosine, weights 25, 25 and 1, and a wide three-layer expander (128 for 64 features;
8192 for 2048 there). For a short run: a higher rate, with clipped gradients.

    python examples/objectives/vicreg.py
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
    model = tc2.SSLPretrainer(
        encoder,
        objective=tc2.objectives.VICReg(),
        projector=tc2.layers.ProjectionHead(128, hidden_dim=256, num_layers=3),
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=2.0, warmup_steps=steps // 10
    )
    optimizer = tc2.optimizers.LARS(schedule, l2_weight_decay=1e-6, global_clipnorm=1.0)
    model.compile(optimizer)
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
