"""Sizes of the encoders: features, parameters, multiply-adds of an image.

    python benchmarks/models.py

Prints the table of `docs/models.md`. Nothing is timed, so any machine will do.
"""

import tensorflow as tf
from absl import app

import keras_tc2 as tc2

SIZES = {
    "convnet": [(28, 28, 1)],
    "resnet18": [(32, 32, 3), (224, 224, 3)],
    "resnet34": [(32, 32, 3), (224, 224, 3)],
    "resnet50": [(32, 32, 3), (224, 224, 3)],
    "vit_tiny": [(32, 32, 3), (224, 224, 3)],
    "mobilenet_v3_small": [(224, 224, 3)],
    "efficientnet_v2_b0": [(224, 224, 3)],
}


def multiply_adds(network, input_shape):
    """Multiply-adds of one image, by TensorFlow's profiler."""
    concrete = tf.function(lambda x: network(x, training=False)).get_concrete_function(
        tf.TensorSpec((1, *input_shape), "float32")
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = tf.compat.v1.profiler.profile(concrete.graph, options=options)
    return profile.total_float_ops / 2


def main(_):
    """Prints a row a model and image size."""
    print("| `create(name, input_shape=...)` | images | features | parameters | GMAC |")
    print("|---|---|---:|---:|---:|")
    for name, shapes in SIZES.items():
        for shape in shapes:
            encoder = tc2.encoders.create(name, input_shape=shape)
            print(
                f"| `{name}` | {shape[0]}×{shape[1]}×{shape[2]} "
                f"| {encoder.feature_dim:,} | {encoder.count_params() / 1e6:.2f} M "
                f"| {multiply_adds(encoder.network, shape) / 1e9:.3f} |"
            )


if __name__ == "__main__":
    app.run(main)
