"""Small encoders of one origin, and images, that the tests of merging share."""

import keras
import numpy as np

SHAPE = (6, 6, 1)


def encoder(seed=0, *, filters=3, activation="softplus", normalized=True, dtype=None):
    """Convolution, batch normalisation, pooling to a linear layer of four features."""

    def start(offset):
        return keras.initializers.GlorotUniform(10 * seed + offset)

    layers = [
        keras.layers.Conv2D(filters, 3, kernel_initializer=start(1), dtype=dtype),
        keras.layers.Activation(activation, dtype=dtype),
        keras.layers.Flatten(dtype=dtype),
        keras.layers.Dense(4, kernel_initializer=start(2), dtype=dtype),
    ]
    if normalized:
        layers.insert(1, keras.layers.BatchNormalization(dtype=dtype))
    return keras.Sequential([keras.Input(SHAPE, dtype=dtype), *layers])


def tuned(base, seed, *, scale=0.1):
    """A copy of an encoder, moved a little; statistics stay positive."""
    copy = keras.models.clone_model(base)
    rng = np.random.default_rng(seed)
    copy.set_weights(
        [w + scale * np.abs(rng.normal(size=w.shape)) for w in base.get_weights()]
    )
    return copy


def images(number=12, seed=0):
    """Floats `(number, 6, 6, 1)`."""
    return np.random.default_rng(seed).normal(size=(number, *SHAPE)).astype("float32")


def trained_weights(model):
    """Those that have a gradient, by position: all but the moving statistics."""
    moving = ("moving_mean", "moving_variance")
    return [i for i, v in enumerate(model.weights) if v.name not in moving]
