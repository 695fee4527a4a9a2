"""Object detection: KerasCV's RetinaNet on the feature maps of an encoder."""

from collections.abc import Sequence

import keras

from keras_tc2 import checks
from keras_tc2.keras_cv_models import keras_cv_class
from keras_tc2.transfer.features.feature_maps import channel_normalization

# RetinaNet builds on three maps of the backbone and adds two coarser ones.
LEVELS = ("P3", "P4", "P5")


def detector(
    encoder: keras.Model,
    *,
    num_classes: int,
    bounding_box_format: str = "xywh",
    anchor_scale: float = 4.0,
    image_size: int | Sequence[int] | None = None,
) -> keras.Model:
    """A RetinaNet [1] whose backbone is the encoder's, weights shared.

    Its anchors follow the encoder's own strides, which are smaller under a
    small-image stem than the 8 to 128 pixels that KerasCV assumes. Each level has
    anchors of three scales and three shapes.

    Compile and fit it as any KerasCV RetinaNet, on images as `encoder.preprocess`
    gives them (float in [0, 1]) and dicts of `"boxes"` and `"classes"`:
    `model.compile(box_loss="smoothl1", classification_loss="focal", optimizer=...)`.

    Args:
        encoder: an `Encoder` whose backbone is a KerasCV backbone with pyramid levels
            P3 to P5: the ResNets, EfficientNets and MobileNets of `encoders.create`.
        num_classes: int >= 1.
        bounding_box_format: str, as KerasCV names them. Defaults to `"xywh"`.
        anchor_scale: float > 0. Side of the smallest anchor of a level, in strides.
            Objects smaller than the first level's anchors are hard to match: lower
            it for them. Defaults to `4.0`.
        image_size: int or (height, width). Size of the images to detect in, which may
            differ from the encoder's. Defaults to `None`, the encoder's own.

    Returns:
        `keras_cv.models.RetinaNet`.

    Raises:
        ValueError: if the backbone has no pyramid levels, or an argument is out of
            range.
        ImportError: if KerasCV cannot be imported.

    References:
        - [1] Lin et al., 2017, arXiv 1708.02002
    """
    checks.integer("num_classes", num_classes)
    checks.positive("anchor_scale", anchor_scale)
    backbone = getattr(encoder, "backbone", None)
    levels = getattr(backbone, "pyramid_level_inputs", {})
    if not set(LEVELS) <= set(levels):
        raise ValueError(
            "A detector needs an encoder whose backbone has the pyramid levels "
            f"{LEVELS}, such as 'resnet18'. The backbone of {encoder.name!r} has "
            f"{sorted(levels)}."
        )
    size = encoder.image_shape[:2] if image_size is None else image_size
    size = (size, size) if isinstance(size, int) else tuple(size)
    strides = pyramid_strides(backbone, size)
    normalization = channel_normalization(encoder.network)
    if normalization is not None:
        backbone = NormalizedMaps(normalization, _maps(backbone))
    anchors = keras_cv_class("AnchorGenerator")(
        bounding_box_format=bounding_box_format,
        strides=strides,
        sizes=[anchor_scale * stride for stride in strides],
        scales=[2**power for power in (0, 1 / 3, 2 / 3)],
        aspect_ratios=[0.5, 1.0, 2.0],
        clip_boxes=True,
    )
    return keras_cv_class("RetinaNet")(
        backbone=backbone,
        num_classes=num_classes,
        bounding_box_format=bounding_box_format,
        anchor_generator=anchors,
    )


@keras.saving.register_keras_serializable(package="keras_tc2")
class NormalizedMaps(keras.Model):
    """The maps of a backbone behind the channel normalization of its encoder.

    A backbone for RetinaNet, since that of an encoder takes normalized images.

    Args:
        normalization: `keras.layers.Layer`.
        maps: `keras.Model` from normalized images to a dict from level to map.
    """

    def __init__(self, normalization, maps, **kwargs):
        images = keras.Input(maps.inputs[0].shape[1:], name="images")
        found = maps(normalization(images))
        outputs = {
            level: keras.layers.Identity(name=level)(found[level]) for level in LEVELS
        }
        super().__init__(images, outputs, **kwargs)
        self.pyramid_level_inputs = {level: level for level in LEVELS}
        self._normalization = normalization
        self._maps = maps

    def get_config(self):
        """The constructor arguments."""
        return {
            "normalization": keras.saving.serialize_keras_object(self._normalization),
            "maps": keras.saving.serialize_keras_object(self._maps),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        """The model that `get_config` described."""
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("normalization", "maps")
        }
        return cls(**{**config, **parts})


def pyramid_strides(backbone, size):
    """Strides of RetinaNet's five levels on images of `size`, in pixels.

    Raises:
        ValueError: if the size does not divide down to level P5.
    """
    strides = [_stride(backbone, level) for level in LEVELS]
    if strides != [strides[0], 2 * strides[0], 4 * strides[0]]:
        raise ValueError(
            f"The pyramid levels {LEVELS} must halve one after the other. Received "
            f"strides {strides}."
        )
    if size[0] % strides[-1] or size[1] % strides[-1]:
        raise ValueError(
            f"Images must divide by {strides[-1]}, the stride of level {LEVELS[-1]}. "
            f"Received: image_size={size}"
        )
    return [*strides, 2 * strides[-1], 4 * strides[-1]]


def _maps(backbone):
    """A model from what the backbone takes to a dict from level to map."""
    names = backbone.pyramid_level_inputs
    maps = {level: backbone.get_layer(names[level]).output for level in LEVELS}
    return keras.Model(backbone.inputs, maps)


def _stride(backbone, level):
    layer = backbone.get_layer(backbone.pyramid_level_inputs[level])
    to_map = keras.Model(backbone.inputs, layer.output)
    side = 256
    shape = to_map.compute_output_shape((1, side, side, backbone.inputs[0].shape[-1]))
    return side // shape[1]
