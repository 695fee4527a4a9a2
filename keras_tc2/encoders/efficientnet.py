"""EfficientNetV2-B0 of KerasCV."""

import keras

from keras_tc2.annotations import Shape
from keras_tc2.encoders import arguments
from keras_tc2.encoders.registry import register
from keras_tc2.encoders.strides import fit_strides
from keras_tc2.keras_cv_models import keras_cv_class


@register("efficientnet_v2_b0")
def efficientnet_v2_b0(
    input_shape: Shape,
    *,
    width_multiplier: float = 1.0,
    depth_multiplier: float = 1.0,
    total_stride: int | None = None,
    skip_connection_dropout: float = 0.2,
) -> keras.Model:
    """EfficientNetV2-B0 [1] of KerasCV; 1280 features.

    Args:
        input_shape: (height, width, channels).
        width_multiplier: float in [0.05, 4]. Scales the width of every layer, and so
            the feature dimension.
        depth_multiplier: float in [0.05, 4]. Scales the number of blocks of every
            stage.
        total_stride: 2, 4, 8, 16 or 32. Image side over side of the last feature
            map; lower by taking strides from the first stages. `None` chooses the
            largest that leaves a map of at least 4x4.
        skip_connection_dropout: float in [0, 1). Dropout of the last skip
            connection; it rises linearly from 0 at the first.

    Returns:
        A KerasCV backbone for images of any size.

    Raises:
        ImportError: if KerasCV cannot be imported.

    References:
        - [1] Tan and Le, 2021, arXiv 2104.00298, table 4
    """
    arguments.fraction("width_multiplier", width_multiplier, at_least=0.05, at_most=4)
    arguments.fraction("depth_multiplier", depth_multiplier, at_least=0.05, at_most=4)
    arguments.fraction(
        "skip_connection_dropout", skip_connection_dropout, at_least=0, at_most=0.99
    )
    strides = fit_strides(
        [1, 2, 2, 2, 1, 2], input_shape=input_shape, total_stride=total_stride
    )
    return keras_cv_class("EfficientNetV2Backbone")(
        include_rescaling=False,
        width_coefficient=width_multiplier,
        depth_coefficient=depth_multiplier,
        stackwise_kernel_sizes=[3, 3, 3, 3, 3, 3],
        stackwise_num_repeats=[1, 2, 2, 3, 5, 8],
        stackwise_input_filters=[32, 16, 32, 48, 96, 112],
        stackwise_output_filters=[16, 32, 48, 96, 112, 192],
        stackwise_expansion_ratios=[1, 4, 4, 4, 6, 6],
        stackwise_squeeze_and_excite_ratios=[0, 0, 0, 0.25, 0.25, 0.25],
        stackwise_strides=strides,
        stackwise_conv_types=["fused"] * 3 + ["unfused"] * 3,
        skip_connection_dropout=skip_connection_dropout,
        input_shape=(None, None, input_shape[2]),
        name="efficientnet_v2_b0_backbone",
    )
