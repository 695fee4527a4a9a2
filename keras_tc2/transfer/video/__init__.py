"""Video: masks and key points carried from the first frame by features alone."""

from keras_tc2.transfer.video.clips import Clip, VideoSet, moving_clips, read_davis
from keras_tc2.transfer.video.figure import propagation_figure
from keras_tc2.transfer.video.label_propagation import (
    LabelPropagation,
    label_propagation,
    propagate,
)
from keras_tc2.transfer.video.measures import (
    boundary_accuracy,
    correct_keypoints,
    region_similarity,
)

__all__ = [
    "Clip",
    "LabelPropagation",
    "VideoSet",
    "boundary_accuracy",
    "correct_keypoints",
    "label_propagation",
    "moving_clips",
    "propagate",
    "propagation_figure",
    "read_davis",
    "region_similarity",
]


def __dir__() -> list[str]:
    return __all__
