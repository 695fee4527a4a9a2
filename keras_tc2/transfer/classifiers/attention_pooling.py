"""Attention over the features of several encoders."""

import keras
import numpy as np
from keras import ops

from keras_tc2.precision import at_least_float32

# What the query is made of, from the adapted features `(batch, encoders, dim)`.
QUERIES = {
    "mean": lambda adapted: ops.mean(adapted, axis=1),
    "learned": lambda adapted: ops.ones_like(adapted[:, 0]),
    "none": lambda adapted: ops.zeros_like(adapted[:, 0]),
}


# No attention: a learned factor for each encoder and dimension, whatever the sample.
SCALING = "scaling"


class AttentionPooling(keras.layers.Layer):
    """Features of several encoders as one, weighted sample by sample.

    `to_query` starts at zero, and attention at equal weights: scores of random weights
    would be noise, which few labels cannot take back. What trains from there aligns
    queries with keys, so scores grow with `dim`, not with its root, and are divided by
    `dim`: at every width a step of Adam moves them as little.

    Args:
        feature_dims: list of ints, D_m.
        dim: int.
        temperature: float.
        query: one of `QUERIES`, or `SCALING`.
        seed: int.

    Call arguments:
        features: list of float tensors `(batch, D_m)`.

    Returns:
        `(pooled, attention)`: `(batch, dim)`, and `(batch, encoders)`, whose rows sum
        to one. Under `SCALING` they are the mean factors, which may sum to anything.
    """

    def __init__(self, feature_dims, *, dim, temperature, query, seed, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.temperature = temperature
        self.query = query
        self.is_standardized = self._constant((), "zeros", "is_standardized")
        self.means = [
            self._constant((width,), "zeros", "mean") for width in feature_dims
        ]
        self.scales = [self._constant((), "ones", "scale") for _ in feature_dims]

        def dense(number, input_dim, **kwargs):
            glorot = keras.initializers.GlorotUniform(1000 * seed + number)
            layer = keras.layers.Dense(dim, **{"kernel_initializer": glorot, **kwargs})
            layer.build((None, input_dim))
            return layer

        self.adapters = [dense(3 + m, width) for m, width in enumerate(feature_dims)]
        self.normalizations = [keras.layers.LayerNormalization() for _ in feature_dims]
        for normalization in self.normalizations:
            normalization.build((None, dim))
        self.to_query = dense(0, dim, use_bias=False, kernel_initializer="zeros")
        self.to_key = dense(1, dim, use_bias=False)
        self.to_value = dense(2, dim, use_bias=False)
        if query == SCALING:
            self.to_query.trainable = self.to_key.trainable = False
            number = len(feature_dims)
            self.scaling = self.add_weight(
                shape=(number, dim),
                initializer=keras.initializers.Constant(1 / number),
                name="scaling",
            )
        self.built = True

    def _constant(self, shape, initializer, name):
        return self.add_weight(
            shape=shape, initializer=initializer, trainable=False, name=name
        )

    def standardize_by(self, features):
        """Takes mean and scale from the first features it is given.

        One scale an encoder, since that of a single feature is nothing to go by where
        labels are few.

        Args:
            features: list of float arrays `(N, D_m)`.
        """
        if float(self.is_standardized):
            return
        for part, mean, scale in zip(features, self.means, self.scales, strict=True):
            centre = part.mean(axis=0)
            mean.assign(centre)
            scale.assign(max(float(np.sqrt(np.mean((part - centre) ** 2))), 1e-6))
        self.is_standardized.assign(1.0)

    def call(self, features):
        """The pooled features and the attention."""
        adapted = []
        for m, part in enumerate(features):
            part = (part - self.means[m]) / self.scales[m]
            adapted.append(self.normalizations[m](self.adapters[m](part)))
        adapted = ops.stack(adapted, axis=1)
        if self.query == SCALING:
            scaled = ops.sum(adapted * self.scaling, axis=1)
            factors = ops.mean(at_least_float32(self.scaling), axis=-1)
            rows = ops.zeros_like(adapted[:, :, 0], dtype=factors.dtype)
            return self.to_value(scaled), rows + factors
        query = at_least_float32(self.to_query(QUERIES[self.query](adapted)))
        keys = at_least_float32(self.to_key(adapted))
        scores = ops.einsum("bd,bmd->bm", query, keys)
        attention = ops.softmax(scores / (self.dim * self.temperature), axis=-1)
        values = self.to_value(adapted)
        pooled = ops.einsum("bm,bmd->bd", ops.cast(attention, values.dtype), values)
        return pooled, attention
