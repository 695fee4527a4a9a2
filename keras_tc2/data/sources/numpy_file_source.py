"""A `.npy` file of images, read from disk as they are needed."""

import numpy as np

from keras_tc2.data.sources.array_source import array_images


def matches_numpy_file(request):
    """Whether the source is an existing `.npy` file."""
    return request.path is not None and request.path.suffix.lower() == ".npy"


def read_numpy_file(request):
    """Maps the file into memory."""
    request.refuse_split("A .npy file")
    if request.labels:
        raise ValueError(
            "A .npy file holds images only; pass the pair "
            '`(numpy.load(path, mmap_mode="r"), labels)`. Received: labels=True'
        )
    return array_images(np.load(request.path, mmap_mode="r"), None, request)
