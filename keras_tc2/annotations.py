"""What the signatures call the things that go through the library.

Keras and TensorFlow have no types, so to a type checker a `Tensor` may be anything.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import matplotlib.figure

Tensor: TypeAlias = Any
Array: TypeAlias = np.ndarray
# What holds images: an array `(N, H, W, C)`, or a `tf.data.Dataset` of images.
Images: TypeAlias = Array | tf.data.Dataset
# `(images, labels)` arrays, or an unbatched `tf.data.Dataset` of such pairs.
Examples: TypeAlias = tuple[Any, Any] | tf.data.Dataset
# A number, or a pair (low, high).
Range: TypeAlias = float | Sequence[float]
# With or without the axis of the batch; `None` is any length.
Shape: TypeAlias = Sequence[int | None]
# What `get_config` returns: the constructor arguments, as JSON holds them.
Config: TypeAlias = dict[str, Any]
# What comes back as it went in.
AnyLayer = TypeVar("AnyLayer", bound=keras.Layer)
Figure: TypeAlias = "matplotlib.figure.Figure"
# What makes views: a layer or function of images, or a list of them, one a task.
Augmentation: TypeAlias = keras.Layer | Callable[[Any], Any] | Sequence[Any]
PathLike: TypeAlias = str | os.PathLike[str]
