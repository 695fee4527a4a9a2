"""Python functions within datasets, which must have come to rest before Python ends.

TensorFlow fills its buffers in threads of its own. While the interpreter shuts down,
these can no longer enter Python; a dataset that is destroyed then waits for them
forever. So, before the shutdown begins, no call may be on its way any more. Nobody
takes from the buffers by then: they fill, and the calls end.
"""

import atexit
import threading
import time

import tensorflow as tf

from keras_tc2.data.reading.reading_errors import ReadingError

# Nothing has begun for so long: the buffers are full. Threads that wait to enter
# Python get in while the main thread sleeps.
REST_SECONDS = 0.2
PATIENCE_SECONDS = 20.0


class _Calls:
    """Counts the calls that are under way, and when the last one began or ended."""

    def __init__(self):
        self._lock = threading.Lock()
        self._under_way = 0
        self._last = 0.0
        self.ending = False

    def __enter__(self):
        with self._lock:
            self._under_way += 1
            self._last = time.monotonic()

    def __exit__(self, *error):
        with self._lock:
            self._under_way -= 1
            self._last = time.monotonic()

    def come_to_rest(self):
        """Waits until no call is under way and none begins."""
        self.ending = True
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self._lock:
                rested = time.monotonic() - self._last
                if not self._under_way and rested > REST_SECONDS:
                    return
            time.sleep(REST_SECONDS / 4)


_CALLS = _Calls()
# Later than TensorFlow's own, so run before them.
atexit.register(_CALLS.come_to_rest)


def numpy_function(function, inputs, dtype, *, instead=None, stateful=True):
    """`tf.numpy_function` that does not keep the process from ending.

    Its `ValueError`s and `OSError`s become `ReadingError`s.

    Args:
        function: callable from arrays to an array.
        inputs: list of tensors.
        dtype: dtype of the result.
        instead: array that is given without a call while the process ends, for
            functions that take long. Defaults to `None`: the function is called.
        stateful: bool, as in `tf.numpy_function`. Defaults to `True`.
    """

    def counted(*arguments):
        with _CALLS:
            if _CALLS.ending and instead is not None:
                return instead
            try:
                return function(*arguments)
            except (ValueError, OSError) as error:
                raise ReadingError(str(error)) from error

    return tf.numpy_function(counted, inputs, dtype, stateful=stateful)
