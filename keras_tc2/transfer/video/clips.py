"""Clips: frames, and in each the mask of every object."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_tc2.annotations import Array, PathLike


@dataclasses.dataclass(frozen=True)
class Clip:
    """Frames of one video with the true masks of its objects.

    Args:
        frames: uint8 array `(T, H, W, C)`.
        masks: int array `(T, H, W)`: 0 is background, each other number an object.
        name: str. Defaults to `"clip"`.

    Raises:
        ValueError: if there are fewer than two frames, masks are of another size, or
            the first has no object.
    """

    frames: np.ndarray
    masks: np.ndarray
    name: str = "clip"

    def __post_init__(self):
        """Checks that frames and masks fit together."""
        frames, masks = np.shape(self.frames), np.shape(self.masks)
        if len(frames) != 4 or frames[0] < 2:
            raise ValueError(
                f"{self.name}: frames must be (T, H, W, C) with two or more frames. "
                f"Received: shape {frames}"
            )
        if masks != frames[:3]:
            raise ValueError(
                f"{self.name}: masks must be as many and as large as the frames, "
                f"{frames[:3]}. Received: shape {masks}"
            )
        if not np.any(np.asarray(self.masks[0]) > 0):
            raise ValueError(
                f"{self.name}: the mask of the first frame has no object to follow."
            )

    @property
    def objects(self) -> list[int]:
        """Their numbers in the first frame: what appears later cannot be known."""
        return [int(number) for number in np.unique(self.masks[0]) if number > 0]

    @property
    def num_objects(self) -> int:
        """How many objects the first frame has."""
        return len(self.objects)


class VideoSet:
    """Clips as a dataset of `transfer.evaluate`, for the protocol of videos.

    Args:
        clips: sequence of `Clip`.

    Raises:
        ValueError: if there is none.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = list(clips)
        if not self.clips:
            raise ValueError("`clips` must hold at least one `Clip`. Received: none")


def read_davis(
    folder: PathLike, *, resolution: str = "480p", names: Sequence[str] | None = None
) -> list[Clip]:
    """Clips of a folder in the layout of DAVIS.

    `JPEGImages/[resolution/]<clip>/00000.jpg` and, of the same number,
    `Annotations/[resolution/]<clip>/00000.png`, whose palette index is the object.

    Args:
        folder: str or path.
        resolution: str, the folder between, if there is one. Defaults to `"480p"`.
        names: sequence of str, the clips that are read, in this order, such as those of
            a split; `None` for all. Defaults to `None`.

    Returns:
        List of `Clip`.

    Raises:
        FileNotFoundError: if a folder or an annotation is missing.
        ValueError: if frames differ in size, or as `Clip`.
    """
    images, annotations = (
        _below(pathlib.Path(folder).expanduser() / kind, resolution)
        for kind in ("JPEGImages", "Annotations")
    )
    if names is None:
        names = sorted(path.name for path in images.iterdir() if path.is_dir())
    return [_read_clip(images / name, annotations / name, name) for name in names]


def _below(folder, resolution):
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}: DAVIS has `JPEGImages` and `Annotations`."
        )
    return folder / resolution if (folder / resolution).is_dir() else folder


def _read_clip(frames, masks, name):
    paths = sorted([*frames.glob("*.jpg"), *frames.glob("*.png")])
    if not paths:
        raise FileNotFoundError(f"There are no frames in {frames}")
    found, truths = [], []
    for path in paths:
        mask = masks / f"{path.stem}.png"
        if not mask.is_file():
            raise FileNotFoundError(f"Frame {path} has no annotation {mask}")
        found.append(np.asarray(Image.open(path).convert("RGB")))
        truths.append(np.asarray(Image.open(mask)))
        if found[-1].shape != found[0].shape:
            raise ValueError(
                f"{name}: frames differ in size: {found[-1].shape[:2]} at {path.name}, "
                f"{found[0].shape[:2]} at first"
            )
    for path, truth in zip(paths, truths, strict=True):
        if truth.shape != found[0].shape[:2]:
            raise ValueError(
                f"{name}: the mask of {path.name} has the shape {truth.shape}, its "
                f"frame {found[0].shape[:2]}. Masks are palette images, one channel."
            )
    return Clip(np.stack(found), np.stack(truths).astype(int), name)


def moving_clips(
    images: Array,
    *,
    num_clips: int = 8,
    num_objects: int = 2,
    length: int = 12,
    side: int = 56,
    seed: int = 0,
) -> list[Clip]:
    """Clips of small pictures that move, overlap and bounce, with true masks.

    Each object is one of the images on black, moved by up to 2.5 pixels a frame, thrown
    back by the border; of two that overlap the later number is in front. What is
    brighter than a fifth is the object.

    Args:
        images: uint8 array `(N, h, w, C)` of pictures on black, such as digits.
        num_clips: int >= 1. Defaults to `8`.
        num_objects: int >= 1. Defaults to `2`.
        length: int >= 2, frames. Defaults to `12`.
        side: int, of the square frames, larger than the pictures. Defaults to `56`.
        seed: int >= 0. Defaults to `0`.

    Returns:
        List of `Clip`.
    """
    generator = np.random.default_rng(seed)
    images = np.asarray(images)
    room = side - np.array(images.shape[1:3])
    if np.any(room < 1):
        raise ValueError(
            f"`side` must be larger than the pictures, {images.shape[1:3]}. Received: "
            f"side={side}"
        )
    clips = []
    for number in range(num_clips):
        chosen = images[generator.choice(len(images), num_objects, replace=False)]
        start = generator.uniform(0, room, (num_objects, 2))
        step = generator.uniform(0.8, 2.5, (num_objects, 2))
        step *= generator.choice([-1, 1], step.shape)
        frames = np.zeros((length, side, side, images.shape[-1]), "uint8")
        masks = np.zeros((length, side, side), int)
        for t in range(length):
            # Bouncing is a triangle wave.
            where = np.abs((start + t * step + room) % (2 * room) - room)
            for k, (top, left) in enumerate(np.rint(where).astype(int)):
                picture = chosen[k]
                here = (
                    slice(top, top + len(picture)),
                    slice(left, left + picture.shape[1]),
                )
                inside = picture.max(-1) > 51
                frames[t][here] = np.where(inside[..., None], picture, frames[t][here])
                masks[t][here] = np.where(inside, k + 1, masks[t][here])
        clips.append(Clip(frames, masks, f"clip_{number}"))
    return clips
