"""The KerasCV backbone of a ResNet for small images; imports KerasCV."""

import keras
from keras_cv.models import Backbone
from keras_cv.src.models.backbones.resnet_v2.resnet_v2_backbone import apply_block

from keras_tc2.encoders.batch_norm_momentum import with_batch_norm_momentum

BATCH_NORM_EPSILON = 1.001e-5


def basic_block(x, filters, *, stride, conv_shortcut, name):
    """Two 3x3 convolutions, the first of the given stride, and a shortcut."""

    def activated(x, normalization, activation):
        x = keras.layers.BatchNormalization(
            epsilon=BATCH_NORM_EPSILON, name=f"{name}_{normalization}"
        )(x)
        return keras.layers.Activation("relu", name=f"{name}_{activation}")(x)

    def convolution(x, size, stride, suffix):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="same",
            use_bias=False,
            name=f"{name}_{suffix}",
        )(x)

    inputs = x
    x = activated(x, "use_preactivation_bn", "use_preactivation_relu")
    shortcut = convolution(x, 1, stride, "0_conv") if conv_shortcut else inputs
    x = convolution(x, 3, stride, "1_conv")
    x = convolution(activated(x, "1_bn", "1_relu"), 3, 1, "2_conv")
    return keras.layers.Add(name=f"{name}_out")([shortcut, x])


BLOCKS = {"basic_block": basic_block, "block": apply_block}


@keras.saving.register_keras_serializable(package="keras_tc2")
class SmallImageResNetBackbone(Backbone):
    """A ResNet of pre-activation blocks [1] behind a 3x3 convolution of stride 1.

    KerasCV's `ResNetV2Backbone` divides the image by four before its first block,
    which leaves nothing of 32 pixels, and takes the stride of a stack in the last
    convolution of its last block, where ResNet-18 costs 2.6 times the arithmetic of
    the paper's. Here, as in the paper, a stack takes its stride in its first block.
    Layer names, bottleneck blocks and the last normalisation are KerasCV's.

    Args:
        stackwise_filters: list of ints. Width of each stack; the stem has that of
            the first.
        stackwise_blocks: list of ints. Blocks of each stack.
        stackwise_strides: list of ints. Stride of each stack.
        block_type: `"basic_block"` or `"block"` (bottleneck).
        input_shape: (height, width, channels); height and width may be `None`.
        batch_norm_momentum: float in [0, 1]. Momentum of the moving statistics.

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

    References:
        - [1] He et al., 2016, arXiv 1603.05027, figure 4(e)
    """

    def __init__(
        self,
        *,
        stackwise_filters,
        stackwise_blocks,
        stackwise_strides,
        block_type,
        input_shape,
        batch_norm_momentum=0.9,
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
            block = BLOCKS[block_type]
            for number in range(1, blocks + 1):
                first = number == 1
                x = block(
                    x,
                    filters,
                    stride=stride if first else 1,
                    conv_shortcut=first and (block_type == "block" or i > 0),
                    name=f"v2_stack_{i}_block{number}",
                )
            pyramid_level_inputs[f"P{i + 2}"] = f"v2_stack_{i}_block{blocks}_out"
        x = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name="post_bn")(
            x
        )
        x = keras.layers.Activation("relu", name="post_relu")(x)
        super().__init__(inputs=images, outputs=x, **kwargs)
        with_batch_norm_momentum(self, batch_norm_momentum)
        self.pyramid_level_inputs = pyramid_level_inputs
        self.stackwise_filters = stackwise_filters
        self.stackwise_blocks = stackwise_blocks
        self.stackwise_strides = stackwise_strides
        self.block_type = block_type
        self.batch_norm_momentum = batch_norm_momentum

    def get_config(self):
        """Returns every constructor argument."""
        return {
            **super().get_config(),
            "stackwise_filters": self.stackwise_filters,
            "stackwise_blocks": self.stackwise_blocks,
            "stackwise_strides": self.stackwise_strides,
            "block_type": self.block_type,
            "input_shape": self.input_shape[1:],
            "batch_norm_momentum": self.batch_norm_momentum,
        }
