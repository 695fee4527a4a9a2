"""ResNet-18, -34 and -50, with a stem that suits the size of the images."""

import keras

from keras_tc2 import checks
from keras_tc2.annotations import Shape
from keras_tc2.encoders import arguments
from keras_tc2.encoders.registry import register
from keras_tc2.encoders.resnet_backbone import ResNetBackbone

# Images up to this side lose their resolution in an ImageNet stem.
SMALL_IMAGE_SIDE = 64


@register("resnet18")
def resnet18(
    input_shape: Shape,
    *,
    width: int = 64,
    stem: str = "auto",
    batch_norm_momentum: float = 0.9,
) -> keras.Model:
    """ResNet-18, second version [1].

    Args:
        input_shape: (height, width, channels).
        width: int. Channels of the stem and the first stage; each of the next three
            doubles them, and the last is the feature dimension.
        stem: `"imagenet"` (7x7 convolution of stride 2, then max pooling), `"small"`
            (3x3 convolution of stride 1) or `"auto"`: small for images of at most 64
            pixels on the shorter side.
        batch_norm_momentum: float in [0, 1]. Momentum of the moving statistics.
            Keras's 0.99 needs a thousand steps before they are of use.

    Returns:
        `ResNetBackbone` for images of any size. Its `pyramid_level_inputs` count the
        stages as P2 to P5; under the small stem their strides are 1, 2, 4 and 8 in
        place of 4, 8, 16 and 32.

    References:
        - [1] He et al., 2016, arXiv 1603.05027
    """
    structure = {"stackwise_blocks": [2, 2, 2, 2], "block_type": "basic_block"}
    return _resnet("resnet18", structure, input_shape, width, stem, batch_norm_momentum)


@register("resnet34")
def resnet34(
    input_shape: Shape,
    *,
    width: int = 64,
    stem: str = "auto",
    batch_norm_momentum: float = 0.9,
) -> keras.Model:
    """ResNet-34; arguments and result as of `resnet18`."""
    structure = {"stackwise_blocks": [3, 4, 6, 3], "block_type": "basic_block"}
    return _resnet("resnet34", structure, input_shape, width, stem, batch_norm_momentum)


@register("resnet50")
def resnet50(
    input_shape: Shape,
    *,
    width: int = 64,
    stem: str = "auto",
    batch_norm_momentum: float = 0.9,
) -> keras.Model:
    """ResNet-50, of bottleneck blocks; the feature dimension is 32 times `width`.

    Arguments and result as of `resnet18`.
    """
    structure = {"stackwise_blocks": [3, 4, 6, 3], "block_type": "block"}
    return _resnet("resnet50", structure, input_shape, width, stem, batch_norm_momentum)


def _resnet(name, structure, input_shape, width, stem, batch_norm_momentum):
    checks.one_of("stem", stem, ["auto", "small", "imagenet"])
    # The last stage is 8 times as wide, in bottleneck blocks 32 times.
    arguments.bounded_integer("width", width, at_most=arguments.MAX_WIDTH // 32)
    checks.probability("batch_norm_momentum", batch_norm_momentum)
    if stem == "auto":
        small = min(input_shape[:2]) <= SMALL_IMAGE_SIDE
        stem = "small" if small else "imagenet"
    return ResNetBackbone(
        **structure,
        stackwise_filters=[width, 2 * width, 4 * width, 8 * width],
        stackwise_strides=[1, 2, 2, 2],
        stem=stem,
        input_shape=(None, None, input_shape[2]),
        batch_norm_momentum=batch_norm_momentum,
        name=f"{name}_backbone",
    )
