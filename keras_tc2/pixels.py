"""The one rule of pixel values, which everything that reads images follows.

- Integers are read by the range of their dtype: uint8 from 0 to 255, uint16 to 65,535.
  Other integers have no range that images use, and need a `value_range=`.
- Floats are in [0, 1], as `data.load` and `data.two_views` give them.
- Who has other values says so: `value_range=(low, high)` of `data.load` or an encoder.

Where the dtype cannot tell, values are looked at: arrays, and the first batch of a
dataset.
"""

import warnings

import numpy as np

# Interpolation and rounding may leave the range by so much of its width.
TOLERANCE = 0.01
# All pixels below this share of the range: most likely divided by 255 once too often.
DARK = 1 / 200


def default_range(dtype):
    """The raw values of a dtype that are black and white.

    Args:
        dtype: anything that `np.dtype` takes.

    Returns:
        `(low, high)`, floats.

    Raises:
        ValueError: if the dtype does not tell.
    """
    dtype = np.dtype(dtype)
    # bfloat16 is no kind of NumPy's own.
    if dtype.kind == "f" or dtype.name == "bfloat16":
        return 0.0, 1.0
    if dtype in (np.uint8, np.uint16):
        return 0.0, float(np.iinfo(dtype).max)
    raise ValueError(
        "Pixels must be uint8, uint16, or float in [0, 1]; others need "
        "`value_range=(low, high)`, the values that become black and white. Received: "
        f"dtype {dtype.name}"
    )


def check_values(images, value_range=None):
    """Looks at images whose dtype does not tell their range.

    Args:
        images: array or eager tensor.
        value_range: `(low, high)`, or `None` for the rule of the dtype.

    Raises:
        ValueError: if values are not finite, or out of the range; warns if all are
            practically black.
    """
    images = np.asarray(images)
    if images.size == 0 or (value_range is None and images.dtype.kind in "ui"):
        return
    low, high = value_range or default_range(images.dtype)
    width = high - low
    least, most = float(images.min()), float(images.max())
    fits = low - TOLERANCE * width <= least and most <= high + TOLERANCE * width
    if not fits:  # NaN fits nothing.
        advice = (
            "Divide by 255, or pass the uint8 images as they are"
            if value_range is None
            else "Bring them into the range that was stated"
        )
        raise ValueError(
            f"Float images must be finite and in [{low:g}, {high:g}]. Received: values "
            f"from {least:.4g} to {most:.4g}. {advice}."
        )
    if low < most < low + DARK * width:
        warnings.warn(
            f"All pixels are practically black: values from {least:.4g} to {most:.4g} "
            f"of a range from {low:g} to {high:g}. Were they divided by 255 twice?",
            stacklevel=3,
        )
