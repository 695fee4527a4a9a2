"""Averaging in which each weight counts as much as its encoder depends on it."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_tc2.annotations import Array, Examples, Images, PathLike, Tensor
from keras_tc2.bilevel import value_and_gradients
from keras_tc2.checks import positive
from keras_tc2.transfer.features.extraction import extract_features
from keras_tc2.transfer.merge.labelled import labelled_arrays
from keras_tc2.transfer.merge.mixture import (
    checked_weights,
    mixed,
    parameter_positions,
    with_weights,
)
from keras_tc2.transfer.merge.same_architecture import same_architecture


def fisher_average(
    encoders: Sequence[keras.Model | PathLike],
    examples: Sequence[Examples],
    *,
    heads: Sequence[Callable[[Tensor], Tensor]] | None = None,
    weights: Sequence[float] | None = None,
    floor: float = 1e-6,
    images: Images | None = None,
) -> keras.Model:
    """One encoder whose weights are means, each weighted by its Fisher information.

        θ_j = Σ_i w_i F_ij θ_ij / Σ_i w_i F_ij                                [1, eq. 2]

    with F_i the diagonal Fisher information of encoder i under a classifier of its own
    task (`diagonal_fisher`). It costs a backward pass for every image and class.

    Args:
        encoders: list of at least two `keras.Model`s of one architecture, fine-tuned
            from one encoder, or folders or Hub repositories of saved ones.
        examples: list of one `(images, labels)`, or unbatched dataset of
            `(image, label)`, an encoder: images of its task. Some hundreds do [1].
        heads: list of layers or callables from features `(N, D)` to logits, one an
            encoder, or `None` for a softmax regression fitted to the features of the
            examples. With heads, labels decide nothing. Defaults to `None`.
        weights: list of floats >= 0, w_i, which sum to one; `None` for equal ones.
            Defaults to `None`.
        floor: float > 0. The least F_ij; where all are below, encoders are averaged as
            in `average`. Defaults to `1e-6`.
        images: array `(N, H, W, C)` or dataset of images, on which the statistics of
            batch normalisation are re-estimated. `None` averages them by `weights`,
            since they have no gradient. Defaults to `None`.

    Returns:
        A new encoder; those that were given do not change.

    Raises:
        ValueError: if there are fewer than two encoders, they differ in architecture
            or origin, examples or heads are not one an encoder, labels are missing or
            not as many as images, or `weights` do not sum to one.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    first = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    second = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    second.set_weights([1.01 * weight for weight in first.get_weights()])
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), "uint8")
    examples = images, np.arange(8) % 2
    merged = tc2.transfer.merge.fisher_average([first, second], [examples, examples])
    ```

    References:
        - [1] Matena and Raffel, 2022, arXiv 2111.09832
    """
    _, encoders = same_architecture(encoders)
    number = len(encoders)
    weights = checked_weights(weights, number)
    positive("floor", floor)
    _check_one_each("examples", examples, number)
    if heads is not None:
        _check_one_each("heads", heads, number)
    labelled = [
        labelled_arrays(f"`examples[{i}]`", pairs) for i, pairs in enumerate(examples)
    ]
    heads = heads or [
        _fitted_head(encoder, *arrays)
        for encoder, arrays in zip(encoders, labelled, strict=True)
    ]
    fishers = [
        diagonal_fisher(encoder, head, arrays[0])
        for encoder, head, arrays in zip(encoders, heads, labelled, strict=True)
    ]

    def weighted(tensors, i):
        shape = (number,) + (1,) * (tensors.ndim - 1)
        shares = weights.reshape(shape) * np.maximum([f[i] for f in fishers], floor)
        return np.sum(shares * tensors, axis=0) / np.sum(shares, axis=0)

    return with_weights(encoders[0], mixed(encoders, weighted), images)


def diagonal_fisher(
    encoder: keras.Model, head: Callable[[Tensor], Tensor], images: Images
) -> list[Array]:
    """Diagonal Fisher information of an encoder's weights under a classifier.

        F = 1/N Σ_n Σ_y p(y | x_n) (∇ log p(y | x_n))²                        [1, eq. 3]

    The expectation over classes is taken in full, so labels are not needed.

    Args:
        encoder: `keras.Model` from images to features, in inference mode.
        head: callable from features `(N, D)` to logits `(N, classes)`.
        images: array `(N, H, W, C)`.

    Returns:
        List of float64 arrays, one a weight of the encoder; zeros for what no gradient
        reaches, as moving statistics.

    References:
        - [1] Matena and Raffel, 2022, arXiv 2111.09832
    """
    positions = parameter_positions(encoder)
    variables = [encoder.weights[i] for i in positions]

    def log_probabilities(image):
        # Twice, since oneDNN's gradients of narrow convolutions (8 channels, seen with
        # TensorFlow 2.21) end the process where the batch is one image.
        twice = tf.repeat(image, 2, axis=0)
        logits = tf.convert_to_tensor(head(encoder(twice, training=False)))
        return tf.nn.log_softmax(logits)[0]

    @tf.function
    def with_another(sums, image, label):
        def log_probability(_):
            return log_probabilities(image)[label]

        value, gradients = value_and_gradients(log_probability, variables)
        probability = tf.exp(value)
        return [
            total + tf.cast(probability, g.dtype) * g**2
            for total, g in zip(sums, gradients, strict=True)
        ]

    sums = [tf.zeros(v.shape, v.dtype) for v in variables]
    num_classes = len(log_probabilities(images[:1]))
    for i in range(len(images)):
        image = tf.convert_to_tensor(images[i : i + 1])
        for label in range(num_classes):
            sums = with_another(sums, image, tf.constant(label))
    fisher = [np.zeros(variable.shape) for variable in encoder.weights]
    for i, total in zip(positions, sums, strict=True):
        fisher[i] = np.asarray(total, "float64") / len(images)
    return fisher


def _fitted_head(encoder, images, ids, num_classes):
    """Softmax regression on the features of the examples, as a layer."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = extract_features(encoder, images).astype("float64")
    scaler, regression = StandardScaler(), LogisticRegression(max_iter=1000)
    make_pipeline(scaler, regression).fit(features, ids)
    kernel = regression.coef_.T / scaler.scale_[:, None]
    bias = regression.intercept_ - scaler.mean_ @ kernel
    if num_classes == 2:
        # One column of log odds; the first class's are zero.
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        bias = np.concatenate([[0.0], bias])
    head = keras.layers.Dense(num_classes, dtype="float32")
    head.build((None, features.shape[1]))
    head.set_weights([kernel, bias])
    return head


def _check_one_each(name, values, number):
    if not isinstance(values, list | tuple) or len(values) != number:
        length = len(values) if isinstance(values, list | tuple) else values
        raise ValueError(
            f"`{name}` must be a list of one for each of the {number} encoders. "
            f"Received: {length!r}"
        )
