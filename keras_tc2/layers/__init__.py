"""Projection head, calibrator networks, and twice-differentiable layers."""

from keras_tc2.layers.batch_normalization import BatchNormalization
from keras_tc2.layers.classification_head import ClassificationHead
from keras_tc2.layers.convolution import Conv2D
from keras_tc2.layers.factor_extractor import FactorExtractor
from keras_tc2.layers.gradient_reversal import GradientReversal
from keras_tc2.layers.group_normalization import GroupNormalization
from keras_tc2.layers.layer_normalization import LayerNormalization
from keras_tc2.layers.projection_head import ProjectionHead
from keras_tc2.layers.synchronize import synchronize
from keras_tc2.layers.task_calibrator import TaskCalibrator
from keras_tc2.layers.twice_differentiable import (
    make_twice_differentiable,
    stock_normalizations,
)
from keras_tc2.layers.weight_extractor import WeightExtractor

__all__ = [
    "BatchNormalization",
    "ClassificationHead",
    "Conv2D",
    "FactorExtractor",
    "GradientReversal",
    "GroupNormalization",
    "LayerNormalization",
    "ProjectionHead",
    "TaskCalibrator",
    "WeightExtractor",
    "make_twice_differentiable",
    "stock_normalizations",
    "synchronize",
]


def __dir__() -> list[str]:
    return __all__
