"""What the library relies on of KerasCV, one test a use."""

import inspect
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from keras_tc2 import encoders, transfer
from keras_tc2.keras_cv_models import CLASSES, keras_cv_class
from tests.test_case import TestCase

ARGUMENTS = {
    "AnchorGenerator": {
        "bounding_box_format",
        "strides",
        "sizes",
        "scales",
        "aspect_ratios",
        "clip_boxes",
    },
    "EfficientNetV2Backbone": {
        "include_rescaling",
        "width_coefficient",
        "depth_coefficient",
        "stackwise_kernel_sizes",
        "stackwise_num_repeats",
        "stackwise_input_filters",
        "stackwise_output_filters",
        "stackwise_expansion_ratios",
        "stackwise_squeeze_and_excite_ratios",
        "stackwise_strides",
        "stackwise_conv_types",
        "skip_connection_dropout",
        "input_shape",
    },
    "MobileNetV3Backbone": {
        "stackwise_expansion",
        "stackwise_filters",
        "stackwise_kernel_size",
        "stackwise_stride",
        "stackwise_se_ratio",
        "stackwise_activation",
        "include_rescaling",
        "input_shape",
        "alpha",
    },
    "RetinaNet": {
        "backbone",
        "num_classes",
        "bounding_box_format",
        "anchor_generator",
    },
}
SMALL = {
    "efficientnet_v2_b0": {"width_multiplier": 0.1, "depth_multiplier": 0.1},
    "mobilenet_v3_small": {"width_multiplier": 0.2},
}
MISSING = """
import sys
sys.modules["keras_cv"] = None
import keras_tc2
keras_tc2.encoders.create("resnet18", input_shape=(8, 8, 1), width=4)
try:
    keras_tc2.encoders.create("mobilenet_v3_small", input_shape=(8, 8, 1))
except ImportError as error:
    print(error)
"""


class ContractTest(TestCase):
    @pytest.mark.parametrize("name", CLASSES)
    def test_arguments(self, name):
        parameters = inspect.signature(keras_cv_class(name)).parameters
        assert set(parameters) >= ARGUMENTS[name]

    @pytest.mark.parametrize("name", SMALL)
    def test_backbones(self, name):
        encoder = encoders.create(
            name, input_shape=(64, 64, 3), total_stride=32, **SMALL[name]
        )
        backbone = encoder.backbone
        assert backbone.input_shape == (None, None, None, 3)
        # What a detector builds on.
        assert {"P3", "P4", "P5"} <= set(backbone.pyramid_level_inputs)
        rescales = [x for x in backbone.layers if isinstance(x, keras.layers.Rescaling)]
        assert not rescales

    def test_detector(self):
        encoder = encoders.create("resnet18", input_shape=(32, 32, 1), width=4)
        detector = transfer.detector(encoder, num_classes=2)
        anchors = detector.anchor_generator(image_shape=(32, 32, 1))
        # Five levels of the strides 2 to 32; nine anchors a place.
        assert [len(a) for a in anchors.values()] == [
            9 * n**2 for n in (16, 8, 4, 2, 1)
        ]
        boxes = {"boxes": np.ones((1, 1, 4)), "classes": np.ones((1, 1))}
        images = np.zeros((1, 32, 32, 1), "float32")
        _, classes = detector.label_encoder(images, boxes)
        assert classes.shape[1] == 9 * 341


class MissingTest(TestCase):
    def test_only_what_is_of_keras_cv_needs_it(self):
        printed = subprocess.run(
            [sys.executable, "-c", MISSING], capture_output=True, text=True, check=True
        ).stdout
        assert "keras_cv.models.MobileNetV3Backbone cannot be imported" in printed
        assert "pip install --upgrade keras-cv" in printed

    def test_a_class_that_is_gone(self, monkeypatch):
        emptied = types.SimpleNamespace(models=types.SimpleNamespace())
        monkeypatch.setitem(sys.modules, "keras_cv", emptied)
        with pytest.raises(ImportError, match=r"no attribute 'RetinaNet'.*Install"):
            keras_cv_class("RetinaNet")
