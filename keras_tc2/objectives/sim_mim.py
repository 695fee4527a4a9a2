"""SimMIM: masked patches of an image, predicted from the rest."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.checks import integer, optional
from keras_tc2.objectives.inputs import check_alike
from keras_tc2.objectives.needs import Needs
from keras_tc2.objectives.objective import Objective
from keras_tc2.objectives.patch_decoder import PatchDecoder
from keras_tc2.objectives.patch_masks import patch_masks
from keras_tc2.precision import at_least_float32

# 32 of 224 pixels a side, the patch of [1].
PATCHES_A_SIDE = 7


def sim_mim(predictions: Tensor, pixels: Tensor, masks: Tensor) -> Tensor:
    """Mean absolute error of the hidden pixels.

    The loss of section 3.4 of [1],

        L = ‖y_M − x_M‖₁ / Ω(x_M),

    with M the hidden pixels, y the prediction, x the image and Ω the number of
    values.

    Args:
        predictions: float tensor `(batch, height, width, channels)`.
        pixels: float tensor of the same shape, cast to the type of the predictions;
            no gradient flows into it.
        masks: float tensor `(batch, height, width, 1)`: 1 where hidden, else 0.

    Returns:
        Scalar tensor >= 0, in the units of the pixels; 0 where nothing is hidden.

    Raises:
        ValueError: if predictions and pixels are not of one shape, or masks do not
            fit them.

    References:
        - [1] Xie et al., 2022, arXiv 2111.09886, section 3.4
    """
    check_alike({"predictions": predictions, "pixels": pixels}, rank=4)
    check_alike({"masks": masks, "pixels[..., :1]": pixels[..., :1]}, rank=4)
    predictions = at_least_float32(predictions)
    pixels = ops.cast(pixels, predictions.dtype)
    masks = ops.cast(masks, predictions.dtype)
    errors = ops.abs(predictions - ops.stop_gradient(pixels)) * masks
    hidden = ops.sum(masks) * errors.shape[-1]
    return ops.sum(errors) / ops.maximum(hidden, 1)


@keras.saving.register_keras_serializable(package="keras_tc2")
class SimMIM(Objective):
    """Masked-image reconstruction in the manner of SimMIM [1]; see `sim_mim`.

    Random patches of every view are hidden, and the pixels there are predicted. Each
    view is reconstructed on its own, so one view is enough: views are never compared.

    It differs from [1] where a library of any encoder and of embeddings must: hidden
    pixels get the mean colour of the visible ones of their image, in place of a
    learned token, so that convolutional networks and transformers take the same
    input; and the pixels are decoded from the embedding of the whole image
    (`PatchDecoder`), not place by place, so that encoders with any pooling will do
    and TC² calibrates what is decoded: in a task, the decoder draws the pixels from
    the calibrated embedding, and is adapted with the projector. A wide embedding
    (`ProjectionHead(256)`) leaves more of the picture than the default of 64.

    Args:
        mask_ratio: float in (0, 1). Share of the patches that is hidden. Defaults to
            `0.6`.
        patch_size: int >= 1. Side of the patches in pixels; `None` for a seventh of
            the shorter side of the image, rounded. Defaults to `None`.
        hidden_dim: int >= 1. Width of the decoder. Defaults to `256`.
        seed: int >= 0. The masks are a function of it and of the number of updates;
            another one where XLA compiles the step. Defaults to `0`.
        gather: bool. Whether the mean over hidden pixels is that of all replicas; the
            loss is the same, since all hide as many. Defaults to `False`.

    Raises:
        ValueError: if an argument is out of its range, or, in the pretrainer, if the
            encoder has no fixed image size or the image is a single patch.

    Example:
    ```python
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    objective = tc2.objectives.SimMIM(mask_ratio=0.5)
    model = tc2.SSLPretrainer(encoder, objective=objective)
    ```

    References:
        - [1] Xie et al., 2022, arXiv 2111.09886
    """

    needs = Needs(min_views=1, masks_views=True)

    def __init__(
        self,
        mask_ratio: float = 0.6,
        *,
        patch_size: int | None = None,
        hidden_dim: int = 256,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < mask_ratio < 1:
            raise ValueError(
                "`mask_ratio` must be a number above 0 and below 1. Received: "
                f"mask_ratio={mask_ratio!r}"
            )
        self.mask_ratio = mask_ratio
        self.patch_size = optional(integer, "patch_size", patch_size)
        self.hidden_dim = integer("hidden_dim", hidden_dim)
        self.seed = integer("seed", seed, at_least=0)

    def make_head(self, embedding_dim: int, image_shape: Shape) -> keras.Layer | None:
        """The decoder."""
        if None in image_shape:
            raise ValueError(
                "SimMIM needs an encoder of a fixed image size, which the decoder "
                f"draws. Received: image_shape={tuple(image_shape)}"
            )
        patch_size = self._patch_size(image_shape)
        if patch_size >= max(side or 0 for side in image_shape[:2]):
            raise ValueError(
                "`patch_size` must leave more than one patch. Received: "
                f"patch_size={patch_size}, image_shape={tuple(image_shape)}"
            )
        return PatchDecoder(
            image_shape,
            patch_size=patch_size,
            hidden_dim=self.hidden_dim,
            name="decoder",
        )

    def mask_views(
        self, views: Sequence[Tensor], step: Tensor
    ) -> tuple[list[Tensor], list[Any]]:
        """Hides patches of the views; targets are their pixels and the masks."""
        masked, targets = [], []
        for index, view in enumerate(views):
            masks = patch_masks(
                view.shape[0],
                view.shape[1:],
                patch_size=self._patch_size(view.shape[1:]),
                mask_ratio=self.mask_ratio,
                seed=tf.stack([self.seed, 2 * tf.cast(step, "int64") + index]),
                dtype=view.dtype,
            )
            masked.append(_paint_over(view, masks))
            targets.append({"pixels": view, "masks": masks})
        return masked, targets

    def compute_loss(self, *predictions: Any, targets: Any) -> Tensor:
        """`sim_mim`, the mean over the views."""
        losses = [
            sim_mim(prediction, target["pixels"], target["masks"])
            for prediction, target in zip(predictions, targets, strict=True)
        ]
        return sum(losses) / len(losses)

    def _patch_size(self, image_shape):
        return self.patch_size or max(1, round(min(image_shape[:2]) / PATCHES_A_SIDE))

    def get_config(self) -> Config:
        """The constructor arguments."""
        return {
            "mask_ratio": self.mask_ratio,
            "patch_size": self.patch_size,
            "hidden_dim": self.hidden_dim,
            "seed": self.seed,
            **super().get_config(),
        }


def _paint_over(view, masks):
    """Gives the hidden pixels the mean colour of the visible ones of their image."""
    visible = 1 - masks
    total = ops.sum(view * visible, axis=(1, 2), keepdims=True)
    count = ops.sum(visible, axis=(1, 2), keepdims=True)
    return view * visible + masks * total / ops.maximum(count, 1)
