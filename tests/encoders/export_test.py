import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import encoders
from keras_tc2.encoders import Encoder, export
from tests.test_case import TestCase


@pytest.fixture(scope="module")
def encoder():
    return encoders.create(
        "convnet", input_shape=(8, 8, 1), widths=[4], channel_mean=0.4, channel_std=0.2
    )


class ExportTest(TestCase):
    def test_saved_model_takes_raw_images(self, encoder, tmp_path):
        encoder.export(tmp_path / "model")
        loaded = tf.saved_model.load(str(tmp_path / "model"))
        x = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1)).astype("uint8")
        self.assert_close(loaded.serve(x), encoder(x), atol=1e-5)

    def test_saved_model_of_float_images(self, encoder, tmp_path):
        encoder.export(tmp_path / "model", input_dtype="float32")
        loaded = tf.saved_model.load(str(tmp_path / "model"))
        x = np.random.default_rng(1).uniform(0, 1, (3, 8, 8, 1)).astype("float32")
        self.assert_close(loaded.serve(x), encoder(x), atol=1e-5)

    @pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
    def test_litert(self, encoder, tmp_path):
        encoder.export(tmp_path / "model.tflite", format="litert")
        assert (tmp_path / "model.tflite").stat().st_size > 1000

    def test_onnx(self, encoder, tmp_path):
        if importlib.util.find_spec("tf2onnx") is None:
            with pytest.raises(ImportError, match=r"needs tf2onnx.*keras-tc2\[onnx\]"):
                encoder.export(tmp_path / "model.onnx", format="onnx")
            return
        encoder.export(tmp_path / "model.onnx", format="onnx")

    def test_other_features_are_noticed(self, encoder, tmp_path, monkeypatch):
        run = export._RUNNERS["tf_saved_model"]
        monkeypatch.setitem(
            export._RUNNERS, "tf_saved_model", lambda *a: run(*a) * 1.01
        )
        with pytest.raises(RuntimeError, match="gives other features"):
            encoder.export(tmp_path / "model")

    def test_unknown_format(self, encoder, tmp_path):
        with pytest.raises(ValueError, match="'tf_saved_model', 'onnx', 'litert'"):
            encoder.export(tmp_path / "model", format="torch")

    def test_images_of_any_size(self, tmp_path):
        inputs = keras.Input((None, None, 1))
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
        with pytest.raises(ValueError, match="fixed image size"):
            Encoder.wrap(model).export(tmp_path / "model")
