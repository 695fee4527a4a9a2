"""The KerasCV backbone of a ResNet for small images; imports KerasCV."""

import keras
from keras_cv.models import Backbone
from keras_cv.src.models.backbones.resnet_v2.resnet_v2_backbone import apply_stack


@keras.saving.register_keras_serializable(package="keras_tc2")
class SmallImageResNetBackbone(Backbone):
    """KerasCV's ResNetV2 stacks behind a 3x3 convolution of stride 1.

    KerasCV's `ResNetV2Backbone` divides the image by four before its first block,
    which leaves nothing of 32 pixels. The stacks, their layer names and the last
    normalisation are KerasCV's own.

    Args:
        stackwise_filters: list of ints. Width of each stack; the stem has that of
            the first.
        stackwise_blocks: list of ints, at least 2 each. Blocks of each stack.
        stackwise_strides: list of ints. Stride of each stack.
        block_type: `"basic_block"` or `"block"` (bottleneck).
        input_shape: (height, width, channels); height and width may be `None`.

    Example:
    ```python
    from keras_tc2.encoders.small_image_resnet import SmallImageResNetBackbone

    backbone = SmallImageResNetBackbone(
        stackwise_filters=[8, 16],
        stackwise_blocks=[2, 2],
        stackwise_strides=[1, 2],
        block_type="basic_block",
        input_shape=(32, 32, 3),
    )
    ```
    """

    def __init__(
        self,
        *,
        stackwise_filters,
        stackwise_blocks,
        stackwise_strides,
        block_type,
        input_shape,
        **kwargs,
    ):
        images = keras.Input(input_shape, name="images")
        x = keras.layers.Conv2D(
            stackwise_filters[0], 3, padding="same", use_bias=False, name="conv1_conv"
        )(images)
        pyramid_level_inputs = {}
        stacks = zip(
            stackwise_filters, stackwise_blocks, stackwise_strides, strict=True
        )
        for i, (filters, blocks, stride) in enumerate(stacks):
            x = apply_stack(
                x,
                filters=filters,
                blocks=blocks,
                stride=stride,
                block_type=block_type,
                first_shortcut=block_type == "block" or i > 0,
                name=f"v2_stack_{i}",
            )
            pyramid_level_inputs[f"P{i + 2}"] = f"v2_stack_{i}_block{blocks}_out"
        x = keras.layers.BatchNormalization(epsilon=1.001e-5, name="post_bn")(x)
        x = keras.layers.Activation("relu", name="post_relu")(x)
        super().__init__(inputs=images, outputs=x, **kwargs)
        self.pyramid_level_inputs = pyramid_level_inputs
        self.stackwise_filters = stackwise_filters
        self.stackwise_blocks = stackwise_blocks
        self.stackwise_strides = stackwise_strides
        self.block_type = block_type

    def get_config(self):
        """Returns every constructor argument."""
        return {
            **super().get_config(),
            "stackwise_filters": self.stackwise_filters,
            "stackwise_blocks": self.stackwise_blocks,
            "stackwise_strides": self.stackwise_strides,
            "block_type": self.block_type,
            "input_shape": self.input_shape[1:],
        }
