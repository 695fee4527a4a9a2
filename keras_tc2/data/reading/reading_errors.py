"""ReadingError: what went wrong in a dataset, in our words and not TensorFlow's.

TensorFlow turns an exception inside a dataset into one of its own, with the place in
its graph and a traceback as text. Who iterates gets ours back.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from keras_tc2.compat import change_class, overrides, variant_tensor

# What an assertion of this package begins with, so that it is told from others.
MARK = "keras_tc2: "
RAISED = re.compile(
    r"ReadingError: (.*?)\nTraceback \(most recent call last\)", re.DOTALL
)
ASSERTED = re.compile(
    rf"assertion failed: \[{re.escape(MARK)}(.*?)\]\s*(?:\[\[|$)", re.DOTALL
)


class ReadingError(ValueError):
    """An image, or a batch of them, cannot be used; the message says which and why.

    Raised while a dataset of `load`, `two_views` or `multi_views` is iterated, and by
    whatever of this package reads datasets: `fit` of a pretrainer, `transfer`. Where
    others read them, such as a `fit` of Keras, TensorFlow's error holds the message.

    Example:
    ```python
    import pathlib, tempfile

    from keras_tc2 import data

    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "cat.png").write_bytes(b"no image")
    try:
        data.load(folder)
    except ValueError as error:
        assert "cat.png is not an image" in str(error)
    ```
    """


def check(condition, parts):
    """`tf.Assert` whose failure becomes a `ReadingError`.

    Args:
        condition: bool scalar tensor.
        parts: list of strings and tensors that make the sentence; a string first.

    Returns:
        The operation, for `tf.control_dependencies`.
    """
    return tf.Assert(condition, [MARK + parts[0], *parts[1:]], summarize=3)


@contextlib.contextmanager
def unwrapped():
    """Within it, or in a function it decorates, TensorFlow's errors become ours."""
    try:
        yield
    except tf.errors.OpError as error:
        ours = _ours(error.message)
        if ours is None:
            raise
        raise ours from None


class ReadDataset(tf.data.Dataset):
    """A dataset as it was, whose iterators raise `ReadingError`.

    Args:
        dataset: `tf.data.Dataset`.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self._dataset = dataset
        super().__init__(variant_tensor(dataset))

    @overrides(tf.data.Dataset, "_inputs")
    def _inputs(self):
        return [self._dataset]

    @property
    def element_spec(self) -> Any:
        """What an element is, as in any dataset."""
        return self._dataset.element_spec

    def __iter__(self) -> Iterator[Any]:
        """An iterator of TensorFlow's, but for the errors."""
        iterator = super().__iter__()
        # Keras needs the very class, or one derived from it.
        change_class(iterator, _unwrapping(type(iterator)))
        return iterator


def _unwrapping(iterator_class):
    """The class with `ReadingError`s; made once."""
    if iterator_class not in _CLASSES:

        class Unwrapping(iterator_class):
            def __next__(self):
                with unwrapped():
                    return super().__next__()

        _CLASSES[iterator_class] = Unwrapping
    return _CLASSES[iterator_class]


_CLASSES: dict[type, type] = {}


def _ours(message):
    """The `ReadingError` that a message of TensorFlow holds, or `None`."""
    raised = RAISED.search(message)
    if raised:
        return ReadingError(raised[1])
    asserted = ASSERTED.search(message)
    return ReadingError(asserted[1].replace("] [", " ")) if asserted else None
