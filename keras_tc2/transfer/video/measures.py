"""J, F and PCK: how well masks and key points were carried."""

from typing import Any

import numpy as np
from scipy import ndimage

from keras_tc2.annotations import Array

BOUNDARY_TOLERANCE = 0.008


def region_similarity(mask: Array, truth: Array) -> float:
    """J, the intersection over union of two masks; 1 if both are empty.

    Args:
        mask: bool array `(H, W)`.
        truth: bool array `(H, W)`.

    Returns:
        Float in [0, 1].

    References:
        - [1] Perazzi et al., 2016, "A benchmark dataset and evaluation methodology for
          video object segmentation", CVPR, section 5
    """
    mask, truth = np.asarray(mask, bool), np.asarray(truth, bool)
    union = np.sum(mask | truth)
    return 1.0 if union == 0 else float(np.sum(mask & truth) / union)


def boundary_accuracy(
    mask: Array, truth: Array, *, tolerance: float = BOUNDARY_TOLERANCE
) -> float:
    """F, the harmonic mean of precision and recall of the boundary.

    A boundary pixel is right if one of the other mask's is within a disk whose radius
    is `tolerance` times the diagonal of the image, rounded up: the morphological
    approximation of the bipartite matching that DAVIS uses.

    Args:
        mask: bool array `(H, W)`.
        truth: bool array `(H, W)`.
        tolerance: float > 0. Defaults to `0.008`, DAVIS's.

    Returns:
        Float in [0, 1]; 1 if both masks are empty.

    References:
        - [1] Perazzi et al., 2016, section 5
    """
    own, true = (_boundary(np.asarray(m, bool)) for m in (mask, truth))
    if not own.any() and not true.any():
        return 1.0
    if not own.any() or not true.any():
        return 0.0
    radius = np.ceil(tolerance * np.hypot(*own.shape))
    precision = np.mean(ndimage.distance_transform_edt(~true)[own] <= radius)
    recall = np.mean(ndimage.distance_transform_edt(~own)[true] <= radius)
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def correct_keypoints(
    points: Array, truth: Array, *, alpha: float, size: Any = None
) -> float:
    """PCK: the share of key points within `alpha` times a size of the truth.

    Args:
        points: float array `(..., P, 2)`, (row, column); NaN where not found.
        truth: float array of the same shape; NaN where not visible: not counted.
        alpha: float > 0, such as 0.1 or 0.2.
        size: float, pixels, or `None` for the larger side of the box around the true
            points of each frame. Defaults to `None`.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: if shapes differ, no true point is visible, or, without a `size`,
            the visible points of a frame are one place.
    """
    points, truth = np.asarray(points, float), np.asarray(truth, float)
    if points.shape != truth.shape:
        raise ValueError(
            "Key points and truth must have one shape. Received: "
            f"{points.shape} and {truth.shape}"
        )
    visible = np.isfinite(truth).all(-1)
    if not visible.any():
        raise ValueError("No true key point is visible.")
    if size is None:
        extent = np.nanmax(truth, -2, keepdims=True) - np.nanmin(
            truth, -2, keepdims=True
        )
        size = extent.max(-1)
        if np.any(size == 0):
            raise ValueError(
                "In some frame the visible key points are one place, around which "
                "there is no box to measure by. Give `size`, in pixels."
            )
    distance = np.linalg.norm(points - truth, axis=-1)
    right = np.nan_to_num(distance, nan=np.inf) <= alpha * size
    return float(np.mean(right[visible]))


def _boundary(mask):
    """Pixels of the mask that touch its outside."""
    return mask & ~ndimage.binary_erosion(mask, border_value=1)
