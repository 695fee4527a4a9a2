"""How far a layer's Hessian-vector product lies from central differences."""

import keras
import numpy as np
import tensorflow as tf


def hessian_vector_error(layer, *, call_arguments=None, step=1e-5):
    """Relative error of a Hessian-vector product through `layer`, in float64.

    The layer stands between two softplus convolutions of a small classifier. The
    product of the Hessian with a random direction, by two nested tapes, is compared
    with the central difference of the gradient along that direction.
    """
    assert keras.config.floatx() == "float64"
    keras.utils.set_random_seed(0)
    images = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="softplus")(images)
    x = layer(x, **(call_arguments or {}))
    x = keras.layers.Conv2D(4, 3, activation="softplus")(x)
    x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(images, keras.layers.Dense(3)(x))

    rng = np.random.default_rng(0)
    batch = tf.constant(rng.normal(size=(6, 6, 6, 2)))
    labels = tf.one_hot([0, 1, 2, 0, 1, 2], 3, dtype="float64")
    state = [tf.constant(v.numpy()) for v in model.non_trainable_variables]
    weights = [
        tf.constant(v.numpy() + 0.3 * rng.normal(size=v.shape))
        for v in model.trainable_variables
    ]
    direction = [tf.constant(rng.normal(size=w.shape)) for w in weights]

    def gradient(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            logits, _ = model.stateless_call(values, state, batch, training=True)
            loss = tf.reduce_mean(
                tf.nn.softmax_cross_entropy_with_logits(labels, logits)
            )
        return tape.gradient(loss, values)

    with tf.GradientTape() as tape:
        tape.watch(weights)
        slope = tf.add_n(
            [
                tf.reduce_sum(g * d)
                for g, d in zip(gradient(weights), direction, strict=True)
            ]
        )
    product = tape.gradient(slope, weights, unconnected_gradients="zero")

    def moved(sign):
        pairs = zip(weights, direction, strict=True)
        return _flat(gradient([w + sign * step * d for w, d in pairs]))

    numeric = (moved(1) - moved(-1)) / (2 * step)
    return np.linalg.norm(_flat(product) - numeric) / np.linalg.norm(numeric)


def _flat(tensors):
    return np.concatenate([t.numpy().ravel() for t in tensors])
