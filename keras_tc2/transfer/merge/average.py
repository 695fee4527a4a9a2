"""Averaging encoders of one origin."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_tc2.annotations import Images, PathLike
from keras_tc2.transfer.merge.mixture import checked_weights, mixed, with_weights
from keras_tc2.transfer.merge.same_architecture import same_architecture


def average(
    encoders: Sequence[keras.Model | PathLike],
    *,
    weights: Sequence[float] | None = None,
    images: Images | None = None,
) -> keras.Model:
    """One encoder whose weights are the mean of those of several.

        θ = Σ_i w_i θ_i

    Encoders that were fine-tuned from one pre-trained encoder mostly lie in one basin
    of the loss, in which their mean lies too [1].

    Args:
        encoders: list of at least two `keras.Model`s of one architecture, fine-tuned
            from one encoder, or folders or Hub repositories of saved ones.
        weights: list of floats >= 0, w_i, which sum to one; `None` for equal ones.
            Defaults to `None`.
        images: array `(N, H, W, C)` or dataset of images, on which the statistics of
            batch normalisation are re-estimated; see `reestimate_batch_statistics`.
            `None` averages them like the weights. Defaults to `None`.

    Returns:
        A new encoder; those that were given do not change.

    Raises:
        ValueError: if there are fewer than two encoders, they differ in architecture
            or origin, or the weights are not as many or do not sum to one.

    Example:
    ```python
    import keras_tc2 as tc2

    first = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    second = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    second.set_weights(first.get_weights())  # here each would be fine-tuned
    merged = tc2.transfer.merge.average([first, second])
    ```

    References:
        - [1] Wortsman et al., 2022, arXiv 2203.05482, model soups, uniform soup
    """
    _, encoders = same_architecture(encoders)
    weights = checked_weights(weights, len(encoders))
    values = mixed(encoders, lambda tensors, _: np.tensordot(weights, tensors, 1))
    return with_weights(encoders[0], values, images)
