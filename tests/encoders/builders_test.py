"""Every registered architecture, each built once, small."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import models
from keras_tc2 import encoders
from keras_tc2.encoders.resnet_backbone import ResNetBackbone
from keras_tc2.encoders.strides import fit_strides
from keras_tc2.layers import stock_normalizations
from tests.test_case import TestCase

# name, image shape, arguments, feature dimension, last feature map or tokens
SMALL = [
    ("convnet", (28, 28, 1), {"widths": [4, 6, 8]}, 8, (4, 4, 8)),
    ("resnet18", (32, 32, 3), {"width": 4}, 32, (4, 4, 32)),
    ("resnet34", (28, 28, 1), {"width": 4}, 32, (4, 4, 32)),
    ("resnet50", (32, 32, 3), {"width": 4}, 128, (4, 4, 128)),
    (
        "efficientnet_v2_b0",
        (32, 32, 3),
        {"width_multiplier": 0.1, "depth_multiplier": 0.1},
        128,
        (4, 4, 128),
    ),
    ("mobilenet_v3_small", (28, 28, 1), {"width_multiplier": 0.2}, 144, (7, 7, 144)),
    ("vit_tiny", (32, 32, 3), {"dim": 12, "depth": 2}, 12, (64, 12)),
]
NAMES = [case[0] for case in SMALL]


@pytest.fixture(scope="module")
def built():
    made = {}

    def build(name):
        if name not in made:
            _, shape, arguments, *_ = SMALL[NAMES.index(name)]
            keras.utils.set_random_seed(1)
            made[name] = encoders.create(name, input_shape=shape, **arguments)
        return made[name]

    return build


class BuildersTest(TestCase):
    def test_every_registered_encoder_is_tested(self):
        assert set(NAMES) == set(encoders.names())

    @pytest.mark.parametrize("name", NAMES)
    def test_shapes_and_exact_normalisations(self, built, name):
        _, shape, _, feature_dim, map_shape = SMALL[NAMES.index(name)]
        encoder = built(name)
        x = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype("uint8")
        features = np.asarray(encoder(x))
        assert features.shape == (2, feature_dim) == (2, encoder.feature_dim)
        assert np.isfinite(features).all()
        assert np.abs(features[0] - features[1]).max() > 1e-5 * np.abs(features).max()
        assert encoder.image_shape == shape
        assert encoder.backbone.compute_output_shape((None, *shape))[1:] == map_shape
        assert stock_normalizations(encoder) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_every_weight_gets_a_gradient(self, built, name):
        encoder = built(name)
        shape = (4, *encoder.image_shape)
        views = tf.constant(np.random.default_rng(0).random(shape), "float32")
        with tf.GradientTape() as tape:
            features = encoder.encode(views, training=True)
            mix = tf.sin(tf.range(float(encoder.feature_dim)))
            loss = tf.reduce_sum(features * mix)
        gradients = tape.gradient(loss, encoder.trainable_variables)
        for variable, gradient in zip(
            encoder.trainable_variables, gradients, strict=True
        ):
            assert gradient is not None, variable.path
            assert np.isfinite(np.asarray(gradient)).all(), variable.path

    @pytest.mark.parametrize("name", NAMES)
    def test_features_are_identical_after_saving(self, built, name, tmp_path):
        encoder = built(name)
        shape = (2, *encoder.image_shape)
        x = np.random.default_rng(0).integers(0, 256, shape, "uint8")
        encoder.save_pretrained(tmp_path)
        reloaded = encoders.from_pretrained(tmp_path)
        np.testing.assert_array_equal(reloaded(x), encoder(x))
        assert type(reloaded.backbone) is type(encoder.backbone)


class BackboneTest(TestCase):
    @pytest.mark.parametrize(
        "name", ["resnet18", "efficientnet_v2_b0", "mobilenet_v3_small"]
    )
    def test_has_pyramid_levels(self, built, name):
        backbone = built(name).backbone
        for layer in backbone.pyramid_level_inputs.values():
            assert backbone.get_layer(layer).output is not None

    def test_resnet_saves_and_loads(self, built, tmp_path):
        backbone = built("resnet18").backbone
        backbone.save(tmp_path / "backbone.keras")
        reloaded = keras.saving.load_model(tmp_path / "backbone.keras")
        assert type(reloaded) is type(backbone)
        assert reloaded.pyramid_level_inputs == backbone.pyramid_level_inputs
        x = np.random.default_rng(0).random((1, 32, 32, 3)).astype("float32")
        self.assert_close(reloaded(x), backbone(x), atol=0, rtol=0)

    @pytest.mark.parametrize(
        ("name", "side", "arguments"),
        [
            ("resnet18", 32, {"width": 4}),
            ("resnet50", 32, {"width": 4}),
            ("resnet50", 96, {"width": 4}),
            ("mobilenet_v3_small", 32, {"width_multiplier": 0.25}),
        ],
    )
    def test_takes_the_momentum_of_batch_normalisation(self, name, side, arguments):
        encoder = encoders.create(
            name, input_shape=(side, side, 3), batch_norm_momentum=0.7, **arguments
        )
        again = encoders.Encoder.from_config(encoder.get_config())
        for model in (encoder, again):
            momenta = [
                layer.momentum
                for layer in model.backbone.layers
                if isinstance(layer, keras.layers.BatchNormalization)
            ]
            assert momenta
            assert set(momenta) == {0.7}

    def test_resnet_keeps_its_momentum(self, tmp_path):
        backbone = ResNetBackbone(
            stackwise_filters=[4],
            stackwise_blocks=[1],
            stackwise_strides=[1],
            block_type="basic_block",
            stem="small",
            input_shape=(32, 32, 3),
            batch_norm_momentum=0.7,
        )
        backbone.save(tmp_path / "backbone.keras")
        reloaded = keras.saving.load_model(tmp_path / "backbone.keras")
        assert reloaded.get_layer("post_bn").momentum == 0.7

    def test_resnet_takes_its_strides_in_the_first_blocks(self, built):
        backbone = built("resnet18").backbone
        model = keras.Model(
            backbone.inputs,
            [
                backbone.get_layer(f"v2_stack_{stack}_block1_1_conv").output
                for stack in range(4)
            ],
        )
        outputs = model(np.zeros((1, 32, 32, 3), "float32"))
        assert [x.shape[1] for x in outputs] == [32, 16, 8, 4]

    def test_imagenet_stem_for_large_images(self):
        encoder = encoders.create("resnet50", input_shape=(96, 96, 3), width=4)
        assert encoder.backbone.stem == "imagenet"
        sides = {"P2": 24, "P3": 12, "P4": 6, "P5": 3}
        assert encoder.backbone.compute_output_shape((1, 96, 96, 3))[1:3] == (3, 3)
        levels = encoder.backbone.pyramid_level_inputs
        outputs = [encoder.backbone.get_layer(levels[level]).output for level in sides]
        maps = keras.Model(encoder.backbone.inputs, outputs)(np.zeros((1, 96, 96, 3)))
        assert [x.shape[1] for x in maps] == list(sides.values())

    @pytest.mark.parametrize(
        ("name", "parameters", "multiply_adds"),
        # He et al., 2016, table 1, without the classifier.
        [("resnet18", 11.18e6, 1.81e9), ("resnet50", 23.51e6, 4.09e9)],
    )
    def test_the_paper_s_size(self, name, parameters, multiply_adds):
        encoder = encoders.create(name, input_shape=(224, 224, 3))
        assert abs(encoder.count_params() / parameters - 1) < 0.005
        found = models.multiply_adds(encoder.network, (224, 224, 3))
        assert abs(found / multiply_adds - 1) < 0.03

    def test_detection_and_segmentation_models_take_it(self):
        from keras_cv.models import DeepLabV3Plus, RetinaNet

        encoder = encoders.create("resnet18", input_shape=(96, 96, 3))
        detector = RetinaNet(
            backbone=encoder.backbone, num_classes=2, bounding_box_format="xywh"
        )
        outputs = detector(np.zeros((1, 96, 96, 3), "float32"))
        assert outputs["box"].shape[0] == 1
        segmenter = DeepLabV3Plus(backbone=encoder.backbone, num_classes=2)
        assert segmenter(np.zeros((1, 96, 96, 3), "float32")).shape == (1, 96, 96, 2)


class FitStridesTest(TestCase):
    @pytest.mark.parametrize(
        ("side", "total", "expected"),
        [
            (224, None, [1, 2, 2, 2, 1, 2]),
            (128, None, [1, 2, 2, 2, 1, 2]),
            (64, None, [1, 1, 2, 2, 1, 2]),
            (32, None, [1, 1, 1, 2, 1, 2]),
            (28, None, [1, 1, 1, 1, 1, 2]),
            (8, None, [1, 1, 1, 1, 1, 1]),
            (32, 32, [1, 2, 2, 2, 1, 2]),
        ],
    )
    def test_leaves_a_map_of_four(self, side, total, expected):
        strides = fit_strides(
            [1, 2, 2, 2, 1, 2], input_shape=(side, side, 3), total_stride=total
        )
        assert strides == expected


class PatchSizeTest(TestCase):
    @pytest.mark.parametrize(
        ("shape", "patch"),
        [
            ((224, 224, 3), 16),
            ((96, 96, 3), 12),
            ((64, 64, 3), 8),
            ((32, 32, 3), 4),
            ((28, 28, 1), 4),
            ((8, 8, 1), 1),
            ((32, 64, 3), 4),
        ],
    )
    def test_by_image_size(self, shape, patch):
        from keras_tc2.encoders.vit import _patch_size

        assert _patch_size(shape, None) == patch
