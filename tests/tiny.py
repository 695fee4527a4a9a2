"""The small models and views that many tests share."""

import keras
import numpy as np

from keras_tc2 import layers, recipes
from keras_tc2.encoders import Encoder

IMAGE_SHAPE = (6, 6, 2)
# Arguments of a `TC2Pretrainer` that leave no part of the method out.
WHOLE_TC2 = {**recipes.full_method(), "num_tasks": 2, "num_factors": 3}


def encoder(normalization=layers.BatchNormalization, activation="softplus", dim=4):
    """Convolution, normalisation, smooth activation, pooling: exact to derive twice."""
    images = keras.Input(IMAGE_SHAPE)
    x = keras.layers.Conv2D(3, 3, strides=2, use_bias=False, name="conv")(images)
    x = normalization(name="norm")(x)
    x = keras.layers.Activation(activation, name="activation")(x)
    x = keras.layers.Conv2D(dim, 2, name="features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return Encoder.wrap(keras.Model(images, x, name="tiny"))


def views(batch_size=8, seed=0, dtype="float32"):
    """Two views of a batch: noisy versions of the same random images."""
    rng = np.random.default_rng(seed)
    images = rng.random((batch_size, *IMAGE_SHAPE))
    noise = 0.2 * rng.random((2, batch_size, *IMAGE_SHAPE))
    return tuple((0.8 * images + noise).astype(dtype))


def move_off_the_start(variables, seed=1, scale=0.3):
    """Adds noise to variables, some of which start where gradients are zero."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        noise = scale * rng.normal(size=variable.shape)
        variable.assign(variable + noise.astype(str(variable.dtype)))
