"""Task arithmetic: what fine-tuning changed is added to the pre-trained weights."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_tc2.annotations import Images, PathLike
from keras_tc2.transfer.merge.mixture import (
    checked_scaling,
    composed,
    parameter_positions,
)
from keras_tc2.transfer.merge.same_architecture import same_architecture


def task_arithmetic(
    base: keras.Model | PathLike,
    encoders: Sequence[keras.Model | PathLike],
    *,
    scaling: Any,
    images: Images | None = None,
) -> keras.Model:
    """The pre-trained encoder plus scaled task vectors.

        τ_i = θ_i − θ_0,    θ = θ_0 + Σ_i λ_i τ_i                    [1, sections 2, 4]

    A negative λ_i forgets a task. Equal λ of 1 / number give `average`. The paper takes
    one λ for all tasks, chosen on held-out validation images.

    Args:
        base: the pre-trained `keras.Model`, or its folder or Hub repository; θ_0.
        encoders: list of at least one encoder fine-tuned from `base`; θ_i.
        scaling: float, λ of all, or a list of one float an encoder.
        images: array `(N, H, W, C)` or dataset of images, on which the statistics of
            batch normalisation are re-estimated. `None` takes the mean of those of
            `encoders`, since a sum of variances may be negative. Defaults to `None`.

    Returns:
        A new encoder; those that were given do not change.

    Raises:
        ValueError: if there is no encoder, they differ in architecture or origin, or
            `scaling` is not finite or not as many.

    Example:
    ```python
    import keras_tc2 as tc2

    base = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    tuned = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    tuned.set_weights([1.01 * weight for weight in base.get_weights()])
    merged = tc2.transfer.merge.task_arithmetic(base, [tuned], scaling=0.3)
    ```

    References:
        - [1] Ilharco et al., 2023, arXiv 2212.04089
    """
    base, encoders = same_architecture(encoders, base=base, at_least=1)
    scaling = checked_scaling(scaling, len(encoders))
    blocks = len(parameter_positions(base))
    coefficients = np.repeat(scaling[:, None], blocks, axis=1)
    return composed(base, encoders, coefficients, images)
