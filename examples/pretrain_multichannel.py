"""Pre-trains an encoder on images of twelve channels, 16 bits each.

    python examples/pretrain_multichannel.py --output_dir=runs/multichannel

`--images` is a `.npy` stack `(N, H, W, C)` or a folder of multi-channel TIFFs, such as
satellites and microscopes take. Without it, the script takes real shapes and makes up
the bands: Fashion-MNIST, as if cloth and background reflected each band differently,
under a light of random strength. It then compares the encoder with the untrained one
and with raw pixels, by kNN on the classes.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_tc2 as tc2

DATA = pathlib.Path(__file__).parent / "data"
BANDS = 12

_IMAGES = flags.DEFINE_string("images", None, "Stack or folder; default: made up.")
_HIGH = flags.DEFINE_float("high", 10_000, "The raw pixel value that counts as white.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 28, "Height and width of the views.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 20_000, "How many are made up.")
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Passes over the images.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/multichannel", "For the encoder.")


def with_bands(split):
    """`(images uint16 (N, 28, 28, 12), labels (N,))` of a split of Fashion-MNIST."""
    dataset = tc2.data.load(
        "fashion_mnist_subset", split, labels=True, data_dir=DATA, dtype="float32"
    )
    images, labels = tc2.data.as_arrays(dataset)
    cloth, background = np.random.default_rng(0).uniform(0.1, 0.6, (2, BANDS))
    light = np.random.default_rng(1).uniform(0.8, 1.2, (len(images), 1, 1, 1))
    bands = (images * cloth + (1 - images) * background) * light
    return (bands * 10_000).astype(np.uint16), labels


def knn(features):
    """Accuracy of `features`, a function from images to features."""
    (train, train_labels) = with_bands("test[:2000]")
    (test, test_labels) = with_bands("test[2000:3000]")
    return tc2.transfer.knn_accuracy(
        features(train), train_labels, features(test), test_labels
    )


def main(_):
    """Trains, saves the encoder, and compares it if the images are made up."""
    keras.utils.set_random_seed(0)
    size, value_range = _IMAGE_SIZE.value, (0, _HIGH.value)
    images = tc2.data.load(
        _IMAGES.value or with_bands(f"train[:{_NUM_IMAGES.value}]")[0],
        value_range=value_range,
        image_size=size,
    )
    statistics = tc2.data.channel_statistics(images.take(1000))
    print("mean of each channel", statistics.mean.round(3))
    print("standard deviation  ", statistics.std.round(3))

    channels = len(statistics.mean)
    # The encoder takes raw pixels, so it must know their range, too.
    encoder = tc2.encoders.create(
        "convnet", input_shape=(size, size, channels), value_range=value_range
    )

    def encode(raw):
        return tc2.transfer.extract_features(encoder, raw)

    untrained = None if _IMAGES.value else knn(encode)
    views = tc2.data.two_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.simclr_tasks(image_size=size, channels=channels),
    )
    model = tc2.TC2Pretrainer(encoder, objective="nt_xent")
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-2, decay_steps=_EPOCHS.value * len(views)
    )
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    model.fit(views, epochs=_EPOCHS.value)
    encoder.save_pretrained(_OUTPUT_DIR.value)
    if not _IMAGES.value:
        pixels = knn(lambda bands: bands.reshape(len(bands), -1).astype(np.float32))
        print(
            f"kNN accuracy: raw pixels {pixels:.3f}, untrained {untrained:.3f}, "
            f"pre-trained {knn(encode):.3f}"
        )


if __name__ == "__main__":
    app.run(main)
