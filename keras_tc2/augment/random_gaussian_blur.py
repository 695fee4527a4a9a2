"""RandomGaussianBlur: blurs each image by its own width."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Config, Tensor
from keras_tc2.augment.image_augmentation import ImageAugmentation
from keras_tc2.augment.per_image import draw_events, draw_uniform, transform_some
from keras_tc2.augment.ranges import interval
from keras_tc2.augment.separable import apply_separable


@keras.saving.register_keras_serializable(package="keras_tc2")
class RandomGaussianBlur(ImageAugmentation):
    """Convolves some images with a Gaussian of random standard deviation.

    The blur of SimCLR [1]: the kernel spans a tenth of the image height, and its
    weights, exp(-t^2 / (2 sigma^2)) at whole pixels t, sum to one. Each image draws
    its own sigma. Borders are reflected without repeating the edge pixel, as in
    torchvision.

    Args:
        sigma: pair > 0 of standard deviations in pixels, drawn uniformly. Defaults to
            `(0.1, 2.0)`.
        kernel_size: odd int, or `None` for a tenth of the image height, made odd and
            at least 3. Defaults to `None`.
        probability: float in [0, 1] that an image is blurred. Defaults to `0.5`.
        seed: int or `None`, see `ImageAugmentation`.

    Call arguments:
        images: `(batch, height, width, channels)`, see `ImageAugmentation`.

    Returns:
        Float32 tensor in [0, 1] of the same shape.

    Raises:
        ValueError: if an argument is out of its range, or height or width are unknown
            or at most `kernel_size // 2`.

    Example:
    ```python
    import tensorflow as tf
    from keras_tc2 import augment

    blur = augment.RandomGaussianBlur(sigma=(0.1, 2.0), probability=0.5)
    views = blur.augment(tf.zeros((8, 96, 96, 3), tf.uint8), seed=(0, 1))
    ```

    References:
        - [1] Chen et al., 2020, arXiv 2002.05709, appendix A
    """

    def __init__(
        self,
        *,
        sigma: Sequence[float] = (0.1, 2.0),
        kernel_size: int | None = None,
        probability: float = 0.5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.sigma = interval("sigma", sigma, low=0, open_low=True)
        self.kernel_size = kernel_size
        if kernel_size is not None and checks.integer("kernel_size", kernel_size) % 2:
            self.kernel_size = int(kernel_size)
        elif kernel_size is not None:
            raise ValueError(
                "`kernel_size` must be odd, so that the kernel has a centre. Received: "
                f"kernel_size={kernel_size}"
            )
        self.probability = checks.probability("probability", probability)

    def transform(self, images: Tensor, seed: Tensor) -> Tensor:
        """Blurs the images that `seed` chooses."""
        radius = self._radius(images.shape)
        sigma_seed, event_seed = tf.unstack(tf.random.split(seed, 2))
        sigmas = draw_uniform(images, sigma_seed, *self.sigma)
        chosen = draw_events(images, event_seed, self.probability)
        return transform_some(
            images,
            chosen,
            lambda some, indices: _blur(some, tf.gather(sigmas, indices), radius),
        )

    def _radius(self, shape):
        height, width = shape[1:3]
        if height is None or width is None:
            raise ValueError(
                "`RandomGaussianBlur` needs images of known height and width: resize "
                f"or crop them first. Received: shape {shape}"
            )
        if self.kernel_size is None:
            radius = max(1, height // 20)
        else:
            radius = self.kernel_size // 2
        if radius >= min(height, width):
            raise ValueError(
                f"A blur of kernel size {2 * radius + 1} needs images of at least "
                f"{radius + 1} pixels a side: take a smaller `kernel_size`. Received: "
                f"height {height}, width {width}"
            )
        return radius

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "kernel_size": self.kernel_size,
            "probability": self.probability,
        }


def _blur(images, sigmas, radius):
    """Convolves each image with its own kernel, rows and columns apart."""
    height, width = images.shape[1:3]
    rows = _matrices(sigmas, radius, height)
    columns = rows if width == height else _matrices(sigmas, radius, width)
    return apply_separable(images, rows, columns)


def _matrices(sigmas, radius, length):
    """Convolution with reflected borders along one axis, `(batch, length, length)`.

    Pixel j reaches pixel i directly, and from its mirror images at -j and at
    2 (length - 1) - j; the pixels on the border are their own mirror image.
    """
    i, j = np.indices((length, length), dtype="float32")
    last = length - 1
    paths = [
        np.abs(i - j),
        np.where(j > 0, i + j, np.inf),
        np.where(j < last, 2 * last - i - j, np.inf),
    ]
    sigmas = sigmas[:, None, None]
    weights = tf.add_n(
        [
            tf.exp(-0.5 * tf.square(np.where(path <= radius, path, np.inf) / sigmas))
            for path in paths
        ]
    )
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
