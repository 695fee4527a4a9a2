"""SwAV: each view foretells to which prototypes another view of its image is assigned.

Caron et al., 2020, arXiv 2006.09882. Of the paper: multi-crop, LARS, warm-up, cosine,
temperature 0.1, codes by three Sinkhorn iterations at ε = 0.05. For small images
of ten classes: 64 prototypes in place of 3000, two local views in place of six.

    python examples/objectives/swav.py
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
    model = tc2.SSLPretrainer(
        encoder,
        objective=tc2.objectives.SwAV(num_prototypes=64),
        projector=tc2.layers.ProjectionHead(64, hidden_dim=256),
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=5.0, warmup_steps=steps // 10
    )
    model.compile(tc2.optimizers.LARS(schedule, l2_weight_decay=1e-6))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)
    report = tc2.transfer.evaluate(
        encoder, "mnist_subset", protocols="knn", data_dir=DATA
    )
    print(report)


if __name__ == "__main__":
    app.run(main)
