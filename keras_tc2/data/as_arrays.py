"""as_arrays: a whole dataset in memory."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2.data.reading.reading_errors import unwrapped


@unwrapped()
def as_arrays(dataset: tf.data.Dataset) -> Any:
    """Reads a whole dataset into memory, as a few images with labels often should be.

    Args:
        dataset: finite, unbatched `tf.data.Dataset`, such as `load` gives.

    Returns:
        What one element is, with every part stacked over all elements: an array
        `(N, H, W, C)` of images, or the pair of it and the labels `(N,)`.

    Raises:
        ValueError: if the dataset is empty or never ends, or its images differ in
            size.
        ReadingError: if an image cannot be read.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import data

    pixels = np.random.randint(0, 256, (10, 32, 32, 3), "uint8")
    dataset = data.load((pixels, np.arange(10)), labels=True)
    images, labels = data.as_arrays(dataset.take(6))
    assert images.shape == (6, 32, 32, 3) and labels.shape == (6,)
    ```
    """
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The dataset repeats without end: remove its `.repeat()`.")
    batches = []
    try:
        for batch in dataset.batch(1000).as_numpy_iterator():
            batches.append(batch)
    except tf.errors.InvalidArgumentError as error:
        if "different shapes" not in error.message:
            raise
        raise ValueError(
            "Images of different sizes do not fit in one array: give `load` an "
            "`image_size`."
        ) from error
    if not batches:
        raise ValueError("The dataset is empty.")
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
