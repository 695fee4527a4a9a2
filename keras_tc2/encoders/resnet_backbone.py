"""ResNets of pre-activation blocks, with a stem that suits the size of the images."""

import keras

BATCH_NORM_EPSILON = 1.001e-5


@keras.saving.register_keras_serializable(package="keras_tc2")
class ResNetBackbone(keras.Model):
    """A ResNet of pre-activation blocks [1].

    As in the paper, a stack takes its stride in its first block. KerasCV's
    `ResNetV2Backbone`, whose layer names these are, takes it in the last convolution
    of its last block: ResNet-18 costs 2.5 times the paper's arithmetic there,
    ResNet-50 2.8 times.

    Args:
        stackwise_filters: list of ints. Width of each stack; the stem has that of
            the first.
        stackwise_blocks: list of ints. Blocks of each stack.
        stackwise_strides: list of ints. Stride of each stack.
        block_type: `"basic_block"` (two 3x3 convolutions) or `"block"` (bottleneck,
            four times as wide).
        stem: `"small"` (3x3 convolution of stride 1) or `"imagenet"` (7x7 convolution
            of stride 2, then max pooling of stride 2).
        input_shape: (height, width, channels); height and width may be `None`.
        batch_norm_momentum: float in [0, 1]. Momentum of the moving statistics.

    Attributes:
        pyramid_level_inputs: dict from `"P2"`, `"P3"`, ... to the name of the layer
            that ends each stack, as KerasCV's detectors ask for.

    Example:
    ```python
    from keras_tc2.encoders.resnet_backbone import ResNetBackbone

    backbone = ResNetBackbone(
        stackwise_filters=[8, 16],
        stackwise_blocks=[2, 2],
        stackwise_strides=[1, 2],
        block_type="basic_block",
        stem="small",
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
        stem,
        input_shape,
        batch_norm_momentum=0.9,
        **kwargs,
    ):
        build = _Layers(float(batch_norm_momentum))
        images = keras.Input(input_shape, name="images")
        x = build.stem(images, stackwise_filters[0], stem)
        block = {"basic_block": build.basic_block, "block": build.bottleneck}[
            block_type
        ]
        pyramid_level_inputs = {}
        stacks = zip(
            stackwise_filters, stackwise_blocks, stackwise_strides, strict=True
        )
        for i, (filters, blocks, stride) in enumerate(stacks):
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
        x = build.activated(x, "post_bn", "post_relu")
        super().__init__(inputs=images, outputs=x, **kwargs)
        self.pyramid_level_inputs = pyramid_level_inputs
        self.stackwise_filters = stackwise_filters
        self.stackwise_blocks = stackwise_blocks
        self.stackwise_strides = stackwise_strides
        self.block_type = block_type
        self.stem = stem
        self.batch_norm_momentum = batch_norm_momentum

    def get_config(self):
        """Returns every constructor argument."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "stackwise_filters": self.stackwise_filters,
            "stackwise_blocks": self.stackwise_blocks,
            "stackwise_strides": self.stackwise_strides,
            "block_type": self.block_type,
            "stem": self.stem,
            "input_shape": self.input_shape[1:],
            "batch_norm_momentum": self.batch_norm_momentum,
        }

    @classmethod
    def from_config(cls, config):
        """The backbone that `get_config` described."""
        return cls(**config)


class _Layers:
    """The layers of blocks and stems, with one momentum."""

    def __init__(self, momentum):
        self.momentum = momentum

    def stem(self, images, filters, kind):
        if kind == "small":
            return _convolution(images, filters, 3, 1, "conv1_conv")
        x = _convolution(images, filters, 7, 2, "conv1_conv")
        return keras.layers.MaxPooling2D(
            3, strides=2, padding="same", name="pool1_pool"
        )(x)

    def activated(self, x, normalization, activation):
        x = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=BATCH_NORM_EPSILON, name=normalization
        )(x)
        return keras.layers.Activation("relu", name=activation)(x)

    def basic_block(self, inputs, filters, *, stride, conv_shortcut, name):
        x = self._preactivated(inputs, name)
        shortcut = inputs
        if conv_shortcut:
            shortcut = _convolution(x, filters, 1, stride, f"{name}_0_conv")
        x = _convolution(x, filters, 3, stride, f"{name}_1_conv")
        x = self.activated(x, f"{name}_1_bn", f"{name}_1_relu")
        x = _convolution(x, filters, 3, 1, f"{name}_2_conv")
        return keras.layers.Add(name=f"{name}_out")([shortcut, x])

    def bottleneck(self, inputs, filters, *, stride, conv_shortcut, name):
        x = self._preactivated(inputs, name)
        shortcut = inputs
        # These biases, which KerasCV has, are in the files of saved encoders.
        if conv_shortcut:
            shortcut = _convolution(
                x, 4 * filters, 1, stride, f"{name}_0_conv", use_bias=True
            )
        x = _convolution(x, filters, 1, 1, f"{name}_1_conv")
        x = self.activated(x, f"{name}_1_bn", f"{name}_1_relu")
        x = _convolution(x, filters, 3, stride, f"{name}_2_conv")
        x = self.activated(x, f"{name}_2_bn", f"{name}_2_relu")
        x = _convolution(x, 4 * filters, 1, 1, f"{name}_3_conv", use_bias=True)
        return keras.layers.Add(name=f"{name}_out")([shortcut, x])

    def _preactivated(self, x, name):
        return self.activated(
            x, f"{name}_use_preactivation_bn", f"{name}_use_preactivation_relu"
        )


def _convolution(x, filters, size, stride, name, use_bias=False):
    return keras.layers.Conv2D(
        filters, size, strides=stride, padding="same", use_bias=use_bias, name=name
    )(x)
