"""How far a backbone may shrink an image of a given size."""

from keras_tc2 import checks

IMAGENET_STRIDE = 32
# A last feature map of this side still tells places apart.
SMALLEST_MAP_SIDE = 4


def fit_strides(stage_strides, *, input_shape, total_stride):
    """Takes strides from the first stages until the last map is large enough.

    Args:
        stage_strides: list of ints, 1 or 2. The strides for ImageNet, behind a stem
            of stride 2; together 32.
        input_shape: (height, width, channels).
        total_stride: power of two from 2 to 32, or `None` for the largest that
            leaves a map of at least 4x4.

    Returns:
        List of ints as long as `stage_strides`.
    """
    if total_stride is None:
        total_stride = IMAGENET_STRIDE
        while total_stride > 2 and min(input_shape[:2]) < (
            SMALLEST_MAP_SIDE * total_stride
        ):
            total_stride //= 2
    checks.one_of("total_stride", total_stride, [2, 4, 8, 16, 32])
    strides = list(stage_strides)
    excess = IMAGENET_STRIDE // total_stride
    for i, stride in enumerate(stage_strides):
        if stride == 2 and excess > 1:
            strides[i] = 1
            excess //= 2
    return strides
