"""Batch normalisation in few passes over memory, exact to every order."""

import tensorflow as tf

from keras_tc2.precision import at_least_float32

# The smallest epsilon that TensorFlow's kernels take on every device.
SMALLEST_EPSILON = 1.001e-5
_AXES = (0, 1, 2)


def fused_normalization(x, scale, offset, *, epsilon):
    """Normalises a batch of feature maps by its own moments.

    TensorFlow's fused kernels compute the value and the first derivative, in a quarter
    of the time that single operations take on a CPU. The second derivative is a closed
    form in single operations, which can be differentiated further.

    Args:
        x: float tensor `(batch, height, width, channels)`. The kernels do not take
            float64, which is computed in single operations throughout.
        scale: tensor `(channels,)`, γ; float64 if `x` is, else float32.
        offset: tensor `(channels,)`, β, likewise.
        epsilon: float >= `SMALLEST_EPSILON`. Added to the variance.

    Returns:
        `(outputs, mean, variance)`: a tensor like `x`, and the (biased) moments of the
        batch, `(channels,)`, which carry no derivative.
    """
    kernels = _Formulas(epsilon) if x.dtype == tf.float64 else _Kernels(epsilon)

    @tf.custom_gradient
    def normalized(x, scale, offset):
        outputs, mean, variance, saved = kernels.forward(x, scale, offset)

        def backward(d_outputs, *_):
            return derivative(d_outputs, x, scale, *saved)

        return (outputs, mean, variance), backward

    @tf.custom_gradient
    def derivative(d_outputs, x, scale, *saved):
        def backward(v, v_scale, v_offset):
            second = _second_derivative(
                v, v_scale, v_offset, d_outputs, x, scale, epsilon
            )
            # What was saved is a function of x, and counted there.
            return *second, *[None] * len(saved)

        return kernels.backward(d_outputs, x, scale, saved), backward

    outputs, mean, variance = normalized(x, scale, offset)
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance)


class _Kernels:
    """Value and first derivative by TensorFlow's fused kernels."""

    def __init__(self, epsilon):
        self.epsilon = epsilon

    def forward(self, x, scale, offset):
        outputs, mean, variance, *saved = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
        )
        count = _count(x, variance.dtype)
        return outputs, mean, variance * ((count - 1) / count), saved

    def backward(self, d_outputs, x, scale, saved):
        names = [f"reserve_space_{number}" for number in (1, 2, 3)]
        return tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=d_outputs,
            x=x,
            scale=scale,
            epsilon=self.epsilon,
            **dict(zip(names, saved, strict=True)),
        )[:3]


class _Formulas:
    """The same in single operations."""

    def __init__(self, epsilon):
        self.epsilon = epsilon

    def forward(self, x, scale, offset):
        mean, centred, inverse = _standard(x, self.epsilon)
        outputs = centred * (scale * inverse) + offset
        return outputs, mean, 1 / inverse**2 - self.epsilon, []

    def backward(self, d_outputs, x, scale, saved):
        _, centred, inverse = _standard(x, self.epsilon)
        standard = centred * inverse
        d_offset = tf.reduce_sum(d_outputs, _AXES)
        d_scale = tf.reduce_sum(d_outputs * standard, _AXES)
        count = _count(x, x.dtype)
        deviation = d_outputs - d_offset / count - standard * (d_scale / count)
        return scale * inverse * deviation, d_scale, d_offset


def _count(x, dtype):
    """How many values the moments of a channel are those of."""
    return tf.cast(tf.size(x) // x.shape[-1], dtype)


def _standard(x, epsilon):
    """Mean, x − mean, and 1/√(variance + ε)."""
    mean = tf.reduce_mean(x, _AXES)
    centred = x - mean
    return mean, centred, tf.math.rsqrt(tf.reduce_mean(centred**2, _AXES) + epsilon)


def _second_derivative(v, v_scale, v_offset, d_outputs, x, scale, epsilon):
    """The derivative of ⟨v, dx⟩ + ⟨v_scale, dγ⟩ + ⟨v_offset, dβ⟩.

    dx, dγ and dβ are the first derivative as a function of `d_outputs`, x and γ. With
    u = x − mean, r = 1/√(variance + ε) and means E over a batch of n values,

        dx = γ r (dy − E dy − r² u E[dy u]),  dγ = r n E[dy u],  dβ = n E dy.

    Returns:
        List of the derivatives by `d_outputs`, x and γ.
    """
    dtypes = d_outputs.dtype, x.dtype, scale.dtype
    v, d_outputs, x = (at_least_float32(part) for part in (v, d_outputs, x))
    _, u, r = _standard(x, epsilon)
    v = v - tf.reduce_mean(v, _AXES)
    dy = d_outputs - tf.reduce_mean(d_outputs, _AXES)
    v_u, dy_u, v_dy = (
        tf.reduce_mean(a * b, _AXES) for a, b in ((v, u), (dy, u), (v, dy))
    )
    along_u = r * v_scale - scale * r**3 * v_u
    by_d_outputs = scale * r * v + along_u * u + v_offset
    by_x = (
        r**3 * (scale * (3 * r**2 * v_u * dy_u - v_dy) - v_scale * dy_u) * u
        - scale * r**3 * dy_u * v
        + along_u * dy
    )
    by_scale = _count(x, r.dtype) * r * (v_dy - r**2 * v_u * dy_u)
    results = by_d_outputs, by_x, by_scale
    return [tf.cast(part, dtype) for part, dtype in zip(results, dtypes, strict=True)]
