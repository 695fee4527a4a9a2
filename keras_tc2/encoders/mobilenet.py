"""MobileNetV3-Small of KerasCV."""

import keras

from keras_tc2 import checks
from keras_tc2.annotations import Shape
from keras_tc2.encoders import arguments
from keras_tc2.encoders.batch_norm_momentum import with_batch_norm_momentum
from keras_tc2.encoders.registry import register
from keras_tc2.encoders.strides import fit_strides
from keras_tc2.keras_cv_models import keras_cv_class


@register("mobilenet_v3_small")
def mobilenet_v3_small(
    input_shape: Shape,
    *,
    width_multiplier: float = 1.0,
    total_stride: int | None = None,
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """MobileNetV3-Small [1] of KerasCV, up to its last convolution; 576 features.

    Args:
        input_shape: (height, width, channels).
        width_multiplier: float in [0.05, 4]. Scales the width of the blocks, and so
            the feature dimension.
        total_stride: 2, 4, 8, 16 or 32. Image side over side of the last feature
            map; lower by taking strides from the first blocks. `None` chooses the
            largest that leaves a map of at least 4x4.
        batch_norm_momentum: float in [0, 1]. KerasCV's 0.999 needs thousands of
            steps before the moving statistics are of use.

    Returns:
        A KerasCV backbone for images of any size.

    Raises:
        ImportError: if KerasCV cannot be imported.

    References:
        - [1] Howard et al., 2019, arXiv 1905.02244, table 2
    """
    arguments.fraction("width_multiplier", width_multiplier, at_least=0.05, at_most=4)
    checks.probability("batch_norm_momentum", batch_norm_momentum)
    strides = fit_strides(
        [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
        input_shape=input_shape,
        total_stride=total_stride,
    )
    backbone = keras_cv_class("MobileNetV3Backbone")(
        stackwise_expansion=[1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
        stackwise_filters=[16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
        stackwise_kernel_size=[3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5],
        stackwise_stride=strides,
        stackwise_se_ratio=[0.25, None, None] + [0.25] * 8,
        stackwise_activation=["relu"] * 3 + ["hard_swish"] * 8,
        include_rescaling=False,
        input_shape=(None, None, input_shape[2]),
        alpha=width_multiplier,
        name="mobilenet_v3_small_backbone",
    )
    return with_batch_norm_momentum(backbone, batch_norm_momentum)
