"""Images that the tests of the data room write into temporary folders."""

import numpy as np
import PIL.Image


def noise(shape, seed=0, dtype=np.uint8):
    """Random pixels over the whole range of an integer type."""
    high = np.iinfo(dtype).max
    rng = np.random.default_rng(seed)
    return rng.integers(0, high, shape, dtype=dtype, endpoint=True)


def smooth(height, width, seed=0):
    """A colour image that survives JPEG almost unchanged."""
    coarse = PIL.Image.fromarray(noise((4, 4, 3), seed))
    return np.asarray(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC))


def write(path, pixels, **options):
    """Writes an array as an image of the kind that the name says; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    PIL.Image.fromarray(pixels).save(path, **options)
    return path


def arrays(dataset):
    """The elements of a dataset as a list of arrays, or of tuples of arrays."""
    return list(dataset.as_numpy_iterator())
