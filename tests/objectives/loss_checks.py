"""What the tests of losses share: random arrays, and checks of gradients."""

import numpy as np
import tensorflow as tf


def arrays(number, *, batch=6, dim=5, seed=0, dtype="float64"):
    """Independent normal arrays `(batch, dim)`."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, dim)).astype(dtype) for _ in range(number)]


def cosines(a, b):
    """Cosine of each row of `a` with each row of `b`."""
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return a @ b.T


def log_softmax(logits):
    """Along the last axis, shifted so that nothing overflows."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def check_gradients(case, loss, values):
    """The gradient of `loss(*values)` against central differences in float64."""
    variables = [tf.Variable(value) for value in values]
    for index, variable in enumerate(variables):
        variable.path = f"argument {index}"
    with tf.GradientTape() as tape:
        value = loss(*variables)
    gradients = tape.gradient(value, variables)
    case.check_gradients(lambda: loss(*variables), variables, gradients)


def assert_no_gradient(loss, values):
    """`loss(*values)` does not depend differentiably on any of the values."""
    variables = [tf.Variable(value) for value in values]
    with tf.GradientTape() as tape:
        value = loss(*variables)
    assert all(gradient is None for gradient in tape.gradient(value, variables))


def assert_finite(objective, *, dim=5, num_targets=0, scale=100):
    """Loss and gradient at batch 2, equal, opposite and zero views, half precision.

    `scale` is how large the largest outputs are.
    """
    for dtype in ("float16", "float32"):
        a, b, *targets = arrays(2 + num_targets, batch=2, dim=dim, dtype=dtype)
        arguments = {"targets": targets} if targets else {}
        for x, y in [(a, a), (0 * a, 0 * b), (scale * a, -scale * a), (a, b)]:
            x = tf.Variable(x)
            with tf.GradientTape() as tape:
                loss = objective(x, y, **arguments)
            assert loss.dtype == tf.float32
            assert np.isfinite(loss)
            assert np.all(np.isfinite(tape.gradient(loss, x)))
