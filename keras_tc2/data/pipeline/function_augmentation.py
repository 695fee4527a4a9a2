"""Functions as `augmentation`: traced into the dataset, or else called in Python.

TensorFlow runs a dataset as a graph. Functions that ask for values, such as KerasCV's
`RandAugment`, or that work on NumPy arrays, cannot be part of one.
"""

import random

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_tc2.data.reading.python_calls import numpy_function

# What these transform are tensors of PyTorch or named arguments; some return all else
# as it is.
OTHER_FRAMEWORKS = ("albumentations", "torch", "torchvision")
ONE_BY_ONE = (
    "A function of single images, or of another framework, is given as `lambda images: "
    "np.stack([function(image) for image in images])`, with whatever turns NumPy "
    "images `(H, W, C)` in [0, 1] into its own and back."
)


class FunctionAugmentation:
    """A user's function from images to images, within datasets.

    How it runs is decided for each shape of a batch before any image is read.

    Args:
        function: callable from float32 images `(B, H, W, C)` in [0, 1] to such images.

    Raises:
        ValueError: if it belongs to another framework.
    """

    def __init__(self, function):
        self.function = function
        self.name = _name(function)
        self._ways = {}
        framework = type(function).__module__.split(".")[0]
        if framework in OTHER_FRAMEWORKS:
            raise ValueError(
                f"`augmentation` cannot be {self.name} of {framework} as it is. "
                f"{ONE_BY_ONE}"
            )

    @tf.autograph.experimental.do_not_convert
    def __call__(self, images):
        """Augmented float32 images, as a tensor of the graph that is being made.

        Raises:
            ValueError: if the function neither becomes part of a graph nor can be
                called in Python, or returns something else than images.
        """
        way = self._way(images)
        if way is None:
            return tf.cast(self.function(images), tf.float32)
        call, shape = way
        augmented = numpy_function(
            call, [images], tf.float32, instead=np.zeros(shape, np.float32)
        )
        return tf.ensure_shape(augmented, shape)

    def _way(self, images):
        """`None` to trace the function, or `(call, shape)` to call it in Python."""
        shape = tuple(images.shape)
        if shape not in self._ways:
            with tf.init_scope(), tf.device("CPU"):
                self._ways[shape] = self._try(shape)
        return self._ways[shape]

    def _try(self, shape):
        """Decides for a shape, without moving the generators of Python and NumPy."""
        states = random.getstate(), np.random.get_state()
        try:
            graph = tf.function(self._traced, autograph=False)
            reason = self._cannot_be_traced(graph, shape)
            if reason is None:
                if isinstance(self.function, keras.Layer):
                    return None
                if _drew(*states):
                    reason = "it draws from the generators of Python or NumPy"
                elif self._would_freeze(graph, shape):
                    reason = "it draws from a generator that TensorFlow does not know"
                else:
                    return None
            call, augmented_shape = self._in_python(shape, reason)
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
        logging.warning(
            "The augmentation %s is called in Python, one batch after the other, which "
            "is slower: %s.",
            self.name,
            reason,
        )
        return call, augmented_shape

    def _cannot_be_traced(self, graph, shape):
        """Why the function cannot be part of a graph, or `None`."""
        try:
            graph.get_concrete_function(tf.TensorSpec(shape, tf.float32))
        except _NotImagesError:
            raise
        except Exception as error:
            return f"TensorFlow cannot trace it ({_said(error)})"
        return None

    def _would_freeze(self, graph, shape):
        """Whether a graph would repeat what the function draws anew in Python."""
        noise = tf.constant(_noise(shape))
        try:
            if not np.array_equal(graph(noise), graph(noise)):
                return False
            return not np.array_equal(self.function(noise), self.function(noise))
        except Exception:
            # Whatever this is, it comes up again where it is reported.
            return False

    def _traced(self, images):
        """The function's tensor, checked."""
        augmented = self.function(images)
        if not tf.is_tensor(augmented):
            raise TypeError(f"it returns {type(augmented).__name__}")
        self._check(augmented, images.shape[0])
        return augmented

    def _in_python(self, shape, reason):
        """`(call, shape of its results)`, for tensors or else for NumPy arrays."""
        noise = _noise(shape)
        failures = []
        for kind, convert in (("a tensor", tf.constant), ("an array", np.array)):
            call = self._caller(convert)
            try:
                shape = call(noise).shape
                return self._runner(call, shape), shape
            except _NotImagesError:
                raise
            except Exception as error:
                failures.append(f"Given {kind}: {_said(error)}.")
        raise ValueError(
            f"The augmentation {self.name} cannot be used: {reason}, and it fails in "
            f"Python. {' '.join(failures)} {ONE_BY_ONE}"
        )

    def _caller(self, convert):
        """Function from an array of images to one, by way of what `convert` makes."""

        def call(images):
            with tf.device("CPU"):
                augmented = self.function(convert(images))
            if not tf.is_tensor(augmented) and not isinstance(augmented, np.ndarray):
                raise self._not_images(type(augmented).__name__)
            augmented = np.asarray(augmented)
            self._check(augmented, len(images))
            return augmented.astype(np.float32)

        return call

    def _runner(self, call, shape):
        """The same function, whose errors name it and which checks the shape."""

        def run(images):
            try:
                augmented = call(images)
            except Exception as error:
                raise ValueError(
                    f"The augmentation {self.name} failed: "
                    f"{type(error).__name__}: {error}"
                ) from error
            if augmented.shape != shape:
                raise ValueError(
                    f"The augmentation {self.name} must return images of one size. "
                    f"Received: shape {augmented.shape} after {shape}"
                )
            return augmented

        return run

    def _check(self, augmented, size):
        """Raises `ValueError` unless a tensor or array can be `size` float images."""
        dtype, shape = tf.as_dtype(augmented.dtype), augmented.shape
        if not dtype.is_floating or len(shape) != 4 or shape[0] not in (None, size):
            raise self._not_images(
                f"{dtype.name} of shape {tuple(shape)} for {size} images,"
            )

    def _not_images(self, received):
        return _NotImagesError(
            "A function given as `augmentation` gets float images (B, H, W, C) in "
            "[0, 1] and must return a tensor or array of such images. Received: "
            f"{received} from {self.name}. {ONE_BY_ONE}"
        )


class _NotImagesError(ValueError):
    """What the function returns is no batch of images, however it is called."""


def _noise(shape):
    """Images that are the same every time."""
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


def _name(function):
    named = getattr(function, "__qualname__", None) or type(function).__qualname__
    return repr(named)


def _said(error):
    """The first sentence of an error, which TensorFlow and Keras go on after."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return f"{type(error).__name__}: {first.split('. ')[0].rstrip('.')}"


def _drew(python_state, numpy_state):
    """Whether the global generators have moved on."""
    now = np.random.get_state()
    return random.getstate() != python_state or any(
        not np.array_equal(before, after)
        for before, after in zip(numpy_state, now, strict=True)
    )
