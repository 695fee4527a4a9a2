"""Speed of the augmentations beside those of Keras and KerasCV.

    python benchmarks/augmentation.py --output=benchmarks/augmentation.json

Every contender runs in `tf.data` as an input pipeline would: batches in, parallel
calls, order kept. Contenders take turns within a round, so that whatever else the
machine does hits all of them; the table gives the median over rounds in images/s, and
the median of the ratios to ours within a round.

Outcome for 32 x 32 x 3 in batches of 256, on two cores: the two SimCLR views come at
15,451 images/s, each seen twice, 3.6 times as fast as from KerasCV's layers; the crop
3.9 times; the jitter twice as fast as either library's. Blur elsewhere is faster than
ours, and not what SSL needs: KerasCV's pads with black, so it darkens borders (a
constant image of 1 becomes 0.47 at a corner), and Keras's draws one sigma for a whole
batch. No layer of theirs takes its randomness from a seed of the call, which a
deterministic parallel pipeline needs.
"""

import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from measure import device

from keras_tc2 import augment

FLAGS = flags.FLAGS
flags.DEFINE_integer("image_size", 32, "Height and width of images and views.")
flags.DEFINE_integer("batch_size", 256, "Images in a batch.")
flags.DEFINE_integer("rounds", 7, "Rounds; the median over them is given.")
flags.DEFINE_float("seconds", 0.5, "Least time of one measurement.")
flags.DEFINE_list("only", [], "Names of operations to measure; all if empty.")
flags.DEFINE_string("output", None, "JSON file for the results.")

JITTER = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}


def ours(layer):
    """A function of a batch and its index, as `data.two_views` calls layers."""
    return lambda images, index: layer.augment(images, tf.stack([0, index]))


def theirs(*layers):
    """A function of a batch and its index that calls plain Keras layers."""

    def apply(images, _):
        images = tf.cast(images, tf.float32) / 255.0
        for layer in layers:
            images = layer(images, training=True)
        return images

    return apply


def two_views(view):
    """Both views of a batch, with different randomness."""
    return lambda images, index: (view(images, 2 * index), view(images, 2 * index + 1))


def contenders(size):
    """Operation -> library -> function of (images, index)."""
    import keras_cv.layers as cv

    keras_jitter = keras.layers.RandomColorJitter(
        value_range=(0, 1),
        brightness_factor=0.8,
        contrast_factor=0.8,
        saturation_factor=(0.1, 0.9),
        hue_factor=0.2,
    )
    cv_jitter = cv.RandomColorJitter((0, 1), 0.8, 0.8, (0.1, 0.9), 0.2)
    cv_crop = cv.RandomCropAndResize((size, size), (0.08, 1.0), (3 / 4, 4 / 3))
    cv_grey = cv.RandomApply(cv.Grayscale(output_channels=3), rate=0.2)
    bicubic = augment.RandomResizedCrop(size, interpolation="bicubic")
    blur = augment.RandomGaussianBlur(probability=1.0)
    kernel = max(3, size // 20 * 2 + 1)
    return {
        "crop": {
            "ours": ours(augment.RandomResizedCrop(size)),
            "ours, bicubic": ours(bicubic),
            "KerasCV": theirs(cv_crop),
        },
        "flip": {
            "ours": ours(augment.RandomHorizontalFlip()),
            "Keras": theirs(keras.layers.RandomFlip("horizontal")),
            "KerasCV": theirs(cv.RandomFlip("horizontal")),
        },
        "jitter": {
            "ours": ours(augment.RandomColorJitter(**JITTER)),
            "ours, random order": ours(
                augment.RandomColorJitter(**JITTER, random_order=True)
            ),
            "Keras": theirs(keras_jitter),
            "KerasCV": theirs(cv_jitter),
        },
        "greyscale": {
            "ours": ours(augment.RandomGrayscale()),
            "Keras": theirs(keras.layers.RandomGrayscale(0.2)),
            "KerasCV": theirs(cv_grey),
        },
        "blur": {
            "ours": ours(blur),
            "Keras, one sigma a batch": theirs(
                keras.layers.RandomGaussianBlur(1.0, kernel, 1.0, (0, 1))
            ),
            "KerasCV": theirs(cv.RandomGaussianBlur(kernel, (0.1, 2.0))),
        },
        "solarize": {
            "ours": ours(augment.RandomSolarize(probability=1.0)),
            "Keras": theirs(keras.layers.Solarization(0.0, 0.5, (0, 1))),
            "KerasCV": theirs(cv.Solarization((0, 1), 0.0, (128, 128))),
        },
        "two SimCLR views": {
            "ours": two_views(ours(augment.simclr(image_size=size, blur=False))),
            "KerasCV": two_views(
                theirs(
                    cv_crop,
                    cv.RandomFlip("horizontal"),
                    cv.RandomApply(cv_jitter, rate=0.8),
                    cv_grey,
                )
            ),
            "KerasCV, jitter always": two_views(
                theirs(cv_crop, cv.RandomFlip("horizontal"), cv_jitter, cv_grey)
            ),
        },
    }


def stream(function, images, batch_size):
    """An endless iterator over augmented batches."""
    dataset = tf.data.Dataset.from_tensors(tf.constant(images[:batch_size])).repeat()
    dataset = dataset.enumerate().map(
        lambda index, batch: function(batch, tf.cast(index, tf.int32)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return iter(dataset.prefetch(2))


def images_per_second(batches, batch_size, seconds):
    """Throughput of an iterator over at least two batches and the given time."""
    count, start = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    return count * batch_size / (time.perf_counter() - start)


def measure(functions, images):
    """Library -> median images/s, and median of its paired ratio to ours."""
    speeds = {name: [] for name in functions}
    streams = {
        name: stream(function, images, FLAGS.batch_size)
        for name, function in functions.items()
    }
    for batches in streams.values():
        images_per_second(batches, FLAGS.batch_size, FLAGS.seconds)
    for _ in range(FLAGS.rounds):
        for name, batches in streams.items():
            speeds[name].append(
                images_per_second(batches, FLAGS.batch_size, FLAGS.seconds)
            )
    ratios = {
        name: float(np.median(np.array(speeds["ours"]) / np.array(values)))
        for name, values in speeds.items()
    }
    return {
        name: {"images_per_second": float(np.median(v)), "ours_over_it": ratios[name]}
        for name, v in speeds.items()
    }


def main(_):
    """Measures, prints a table and writes it as JSON."""
    rng = np.random.default_rng(0)
    shape = (FLAGS.batch_size, FLAGS.image_size, FLAGS.image_size, 3)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    results = {}
    for operation, functions in contenders(FLAGS.image_size).items():
        if FLAGS.only and operation not in FLAGS.only:
            continue
        results[operation] = measure(functions, images)
        for name, result in results[operation].items():
            print(
                f"{operation:26} {name:26} {result['images_per_second']:9.0f} images/s"
                f"   ours is {result['ours_over_it']:5.2f} times as fast",
                flush=True,
            )
    if FLAGS.output:
        setting = {"image_size": FLAGS.image_size, "batch_size": FLAGS.batch_size}
        setting |= {"rounds": FLAGS.rounds, "cores": os.cpu_count()}
        # Pipelines of `tf.data` run on the CPU, whatever else there is.
        setting |= {"device": "CPU", "beside": device()}
        with open(FLAGS.output, "w") as file:
            json.dump({"setting": setting, "results": results}, file, indent=2)


if __name__ == "__main__":
    app.run(main)
