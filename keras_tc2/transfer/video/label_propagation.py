"""Label propagation: the first frame's mask carried on by features alone."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Array, PathLike
from keras_tc2.deprecation import old_arguments
from keras_tc2.precision import l2_normalize
from keras_tc2.reporting.html_page import encoded
from keras_tc2.transfer.features.adapt import adapt, image_shape_of
from keras_tc2.transfer.features.extraction import resolved
from keras_tc2.transfer.features.feature_maps import feature_map_function
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score
from keras_tc2.transfer.video.clips import Clip, VideoSet
from keras_tc2.transfer.video.figure import propagation_figure
from keras_tc2.transfer.video.measures import boundary_accuracy, region_similarity


@old_arguments(num_neighbours="num_neighbors")
def propagate(
    maps: Array,
    labels: Array,
    *,
    num_context: int = 7,
    radius: float = 12,
    num_neighbors: int = 5,
    temperature: float = 0.1,
) -> Array:
    """Soft labels of every frame from those of the first.

    The labels of a place are the mean of those of its `num_neighbors` most similar
    places, weighted by softmax(cosine / temperature), among all places within `radius`
    (in steps of the map, along each axis) in the first frame and the `num_context`
    frames before: section 4 of [1] with the settings of [2].

    Args:
        maps: float array `(T, h, w, D)`, features.
        labels: float array `(h, w, L)` of the first frame: key points or masks, one
            channel each, background included.
        num_context: int >= 0. Defaults to `7`.
        radius: int >= 1. Defaults to `12`.
        num_neighbors: int >= 1. Defaults to `5`.
        temperature: float > 0. Defaults to `0.1`.

    Returns:
        Float32 array `(T, h, w, L)`.

    References:
        - [1] Jabri et al., 2020, arXiv 2006.14613
        - [2] Caron et al., 2021, arXiv 2104.14294, section 4.2.2
    """
    checks.integer("num_context", num_context, at_least=0)
    checks.integer("radius", radius)
    checks.integer("num_neighbors", num_neighbors)
    checks.positive("temperature", temperature)
    maps = l2_normalize(tf.cast(maps, "float32"))
    number, height, width, size = maps.shape
    flat = tf.reshape(maps, (number, height * width, size))
    row, column = np.divmod(np.arange(height * width), width)
    near = (np.abs(row[:, None] - row) <= radius) & (
        np.abs(column[:, None] - column) <= radius
    )
    outside = tf.constant(np.where(near, 0.0, -np.inf), "float32")
    found = [tf.reshape(tf.cast(labels, "float32"), (height * width, -1))]
    for t in range(1, number):
        context = sorted({0, *range(max(0, t - num_context), t)})
        similar = tf.concat(
            [tf.matmul(flat[t], flat[s], transpose_b=True) + outside for s in context],
            axis=1,
        )
        k = min(num_neighbors, int(near.sum(1).min()) * len(context))
        values, places = tf.math.top_k(similar, k)
        weights = tf.nn.softmax(values / temperature)
        known = tf.concat([found[s] for s in context], axis=0)
        found.append(tf.einsum("pk,pkl->pl", weights, tf.gather(known, places)))
    return tf.reshape(tf.stack(found), (number, height, width, -1)).numpy()


@old_arguments(num_neighbours="num_neighbors")
def label_propagation(
    encoder: keras.Model | PathLike,
    clips: Sequence[Clip],
    *,
    num_context: int = 7,
    radius: float = 12,
    num_neighbors: int = 5,
    temperature: float = 0.1,
    max_stride: int = 8,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Masks of every frame of clips, from the first mask alone, and J and F.

    Nothing is trained. Frames are resized to what the encoder takes; its last feature
    map of a stride of at most `max_stride` is the grid on which labels are carried.
    Soft labels are enlarged bilinearly to the frame, and the strongest wins.
    J and F are means over objects and frames, without the first and, as DAVIS does, the
    last frame (of clips of three frames or more).

    Args:
        encoder: `Encoder` or functional `keras.Model` with a feature map, or the folder
            or Hub repository of a saved encoder.
        clips: sequence of `Clip`.
        num_context: int >= 0, frames before, beside the first. Defaults to `7`.
        radius: int >= 1, in steps of the map. Defaults to `12`.
        num_neighbors: int >= 1. Defaults to `5`.
        temperature: float > 0. Defaults to `0.1`.
        max_stride: int >= 1, or `None` for the last map of all, however coarse.
            Defaults to `8`.
        batch_size: int >= 1. Defaults to `32`.

    Returns:
        Dict: `"j"` and `"f"`, floats in [0, 1]; `"j_recall"` and `"f_recall"`, shares
        above one half; `"per_object"`, list of dicts with `clip`, `object`, `j`, `f`;
        `"masks"`, list of int arrays `(T, H, W)`.

    Raises:
        ValueError: if the encoder has no such feature map.
    """
    encoder = resolved(encoder)
    to_map = feature_map_function(encoder, max_stride=max_stride)
    per_object: list[dict[str, Any]] = []
    masks: list[Array] = []
    for clip in clips:
        maps = _maps(encoder, to_map, clip.frames, batch_size)
        numbers = np.array([0, *clip.objects])
        first = np.where(np.isin(clip.masks[0], numbers), clip.masks[0], 0)
        labels = (first[..., None] == numbers).astype("float32")
        soft = propagate(
            maps,
            tf.image.resize(labels, maps.shape[1:3], antialias=True),
            num_context=num_context,
            radius=radius,
            num_neighbors=num_neighbors,
            temperature=temperature,
        )
        soft = tf.image.resize(soft, clip.frames.shape[1:3])
        found = numbers[tf.argmax(soft, axis=-1).numpy()]
        found[0] = clip.masks[0]
        masks.append(found)
        last = max(2, len(found) - 1)
        for k in clip.objects:
            pairs = [(found[t] == k, clip.masks[t] == k) for t in range(1, last)]
            per_object.append(
                {
                    "clip": clip.name,
                    "object": k,
                    "j": np.array([region_similarity(*pair) for pair in pairs]),
                    "f": np.array([boundary_accuracy(*pair) for pair in pairs]),
                }
            )
    results: dict[str, Any] = {"masks": masks}
    for name in ("j", "f"):
        results[name] = float(np.mean([one[name].mean() for one in per_object]))
        shares = [np.mean(one[name] > 0.5) for one in per_object]
        results[f"{name}_recall"] = float(np.mean(shares))
    results["per_object"] = [
        {**one, "j": float(one["j"].mean()), "f": float(one["f"].mean())}
        for one in per_object
    ]
    return results


def _maps(encoder, to_map, frames, batch_size):
    pairs = tf.data.Dataset.from_tensor_slices((frames, np.zeros(len(frames))))
    fitted, _ = adapt(pairs, image_shape_of(encoder))
    parts = [to_map(images) for images, _ in fitted.batch(batch_size)]
    return keras.ops.convert_to_numpy(keras.ops.concatenate(parts))


class LabelPropagation(Protocol):
    """The protocol `"label_propagation"`: J and F of a `VideoSet` as rows of a report.

    `evaluate(encoder, {"davis": VideoSet(read_davis(folder))}, protocols=
    "label_propagation")`.
    """

    function = staticmethod(label_propagation)

    def __call__(self, downstream: Any) -> list[Score]:
        """A score of each of J and F, paired over objects."""
        if not isinstance(getattr(downstream, "videos", None), VideoSet):
            raise ValueError(
                f"Dataset {downstream.name!r} holds images; label propagation is "
                "measured on clips: give a `transfer.VideoSet`."
            )
        found = label_propagation(
            downstream.encoder, downstream.videos.clips, **self.options
        )
        return [
            Score(
                "label_propagation",
                found[name],
                name,
                per_image=np.array([one[name] for one in found["per_object"]]),
                details={"recall": found[f"{name}_recall"]},
                picture=picture,
            )
            for name, picture in (("j", _picture(downstream, found)), ("f", None))
        ]


def _picture(downstream, found):
    """The first clip, whatever it shows, for a report's page."""
    clip, masks = downstream.videos.clips[0], found["masks"][0]
    own = found["per_object"][: clip.num_objects]
    j, f = (100 * np.mean([one[name] for one in own]) for name in ("j", "f"))
    caption = (
        "The first clip: frames, the true masks, and the masks that features carried "
        f"on from the first frame's. Of this clip J = {j:.1f} and F = {f:.1f} %."
    )
    return {**encoded(propagation_figure(clip, masks)), "caption": caption}
