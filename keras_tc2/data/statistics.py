"""channel_statistics: mean and standard deviation of each channel."""

import typing
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tc2.annotations import Images
from keras_tc2.data.reading.reading_errors import unwrapped
from keras_tc2.data.sources.array_source import checked_images
from keras_tc2.data.sources.image_dataset import without_label
from keras_tc2.pixels import default_range


class ChannelStatistics(typing.NamedTuple):
    """Mean and standard deviation of each channel, float64 arrays `(channels,)`."""

    mean: np.ndarray
    std: np.ndarray


@unwrapped()
def channel_statistics(images: Images) -> ChannelStatistics:
    """Mean and standard deviation of each channel over all pixels of all images.

    Images pass by once, one after the other. Those of every image are merged into the
    totals by the update of [1], in float64, so that nothing is lost to cancellation.

    Args:
        images: unbatched `tf.data.Dataset` of images `(H, W, C)` or of
            `(image, label)`, or an array `(N, H, W, C)`. uint8, uint16, or float in
            [0, 1]. Sizes may differ.

    Returns:
        `ChannelStatistics(mean, std)` of pixels in [0, 1]; the standard deviation is
        that of the pixels themselves, not an estimate for others.

    Raises:
        ValueError: if there are no images, or pixels are of another dtype, NaN,
            infinite or, in an array, out of range.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import data

    images = np.random.randint(0, 256, (10, 8, 8, 3), "uint8")
    statistics = data.channel_statistics(images)
    np.testing.assert_allclose(statistics.mean, images.mean((0, 1, 2)) / 255)
    ```

    References:
        - [1] Chan, Golub and LeVeque, 1983, The American Statistician 37(3),
          equation 1.5
    """
    if isinstance(images, tf.data.Dataset):
        images = images.map(without_label).prefetch(tf.data.AUTOTUNE)
        images = images.as_numpy_iterator()
    else:
        images = checked_images(images)
    mean: Any = 0.0
    count, squares, scale = 0, 0.0, 1.0
    for number, image in enumerate(images):
        scale = default_range(image.dtype)[1]
        pixels = image.reshape(-1, image.shape[-1]).astype(np.float64)
        image_mean = pixels.mean(axis=0)
        if not np.isfinite(image_mean).all():
            raise ValueError(
                f"Images must not hold NaN or infinite pixels. Received: image {number}"
            )
        image_squares = np.square(pixels - image_mean).sum(axis=0)
        shift, total = image_mean - mean, count + len(pixels)
        mean = mean + shift * (len(pixels) / total)
        squares = squares + image_squares + shift**2 * (count * len(pixels) / total)
        count = total
    if count == 0:
        raise ValueError("Statistics need at least one image. Received: none")
    return ChannelStatistics(mean / scale, np.sqrt(squares / count) / scale)
