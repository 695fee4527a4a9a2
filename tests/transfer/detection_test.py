import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_tc2 as tc2
from keras_tc2 import transfer
from keras_tc2.transfer.detection import pyramid_strides
from tests.test_case import TestCase


class DetectorTest(TestCase):
    @pytest.mark.slow  # RetinaNet's heads are 256 wide: up to a minute.
    def test_trains_on_the_encoder_s_backbone(self):
        encoder = tc2.encoders.create("resnet18", input_shape=(32, 32, 1), width=8)
        detector = transfer.detector(encoder, num_classes=2, anchor_scale=2.0)
        detector.compile(
            box_loss="smoothl1",
            classification_loss="focal",
            optimizer=keras.optimizers.SGD(1e-3, global_clipnorm=1.0),
        )
        images = np.random.default_rng(0).uniform(size=(2, 32, 32, 1)).astype("f")
        targets = {
            "boxes": np.array([[[4.0, 4, 16, 16]], [[12, 8, 16, 16]]], "float32"),
            "classes": np.array([[0.0], [1.0]], "float32"),
        }
        before = [np.array(v) for v in encoder.backbone.trainable_variables]
        batches = tf.data.Dataset.from_tensor_slices((images, targets)).batch(2)
        history = detector.fit(batches, epochs=1, verbose=0).history
        assert np.isfinite(history["loss"][0])
        after = [np.array(v) for v in encoder.backbone.trainable_variables]
        assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        found = detector.predict(images, verbose=0)
        assert found["boxes"].shape[0] == 2

    def test_channels_are_normalized_as_the_encoder_does(self):
        encoder = tc2.encoders.create(
            "resnet18",
            input_shape=(32, 32, 3),
            width=4,
            channel_mean=[0.4, 0.5, 0.6],
            channel_std=[0.2, 0.25, 0.3],
        )
        detector = transfer.detector(encoder, num_classes=1)
        images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
        found = detector.feature_extractor(encoder.preprocess(images), training=False)
        backbone = encoder.backbone
        layers = [backbone.get_layer(x) for x in backbone.pyramid_level_inputs.values()]
        maps = keras.Model(backbone.inputs, [layer.output for layer in layers])
        normalized = (images / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
        for level, expected in zip(
            ("P3", "P4", "P5"), maps(normalized, training=False)[1:], strict=True
        ):
            self.assert_close(found[level], expected, rtol=1e-4, atol=1e-5)

    def test_anchors_match_objects_of_their_size(self):
        encoder = tc2.encoders.create("resnet18", input_shape=(32, 32, 1), width=8)
        images = np.zeros((1, 32, 32, 1), "float32")
        targets = {
            "boxes": np.array([[[4.0, 4.0, 8.0, 8.0]]], "float32"),
            "classes": np.array([[1.0]], "float32"),
        }
        positives = {}
        for scale in (4.0, 20.0):
            detector = transfer.detector(encoder, num_classes=2, anchor_scale=scale)
            _, classes = detector.label_encoder(images, targets)
            positives[scale] = int(np.sum(np.asarray(classes) == 1))
        # Anchors of 8 pixels against those of 40.
        assert positives[4.0] > 0 and positives[20.0] == 0

    def test_strides_are_those_of_the_stem(self):
        small = tc2.encoders.create("resnet18", input_shape=(32, 32, 3), width=8)
        assert pyramid_strides(small.backbone, (32, 32)) == [2, 4, 8, 16, 32]

    def test_errors(self):
        convnet = tc2.encoders.create("convnet", input_shape=(32, 32, 1))
        with pytest.raises(ValueError, match="has the pyramid levels"):
            transfer.detector(convnet, num_classes=2)
        small = tc2.encoders.create("resnet18", input_shape=(32, 32, 3), width=8)
        with pytest.raises(ValueError, match="must divide by 8"):
            transfer.detector(small, num_classes=2, image_size=30)
