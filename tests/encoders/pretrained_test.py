import json
import os
import subprocess
import sys
import textwrap

import h5py
import keras
import numpy as np
import pytest

from keras_tc2 import encoders, hub
from keras_tc2.encoders import Encoder, from_pretrained, registry
from keras_tc2.hub.files import sha256
from keras_tc2.hub.weights_file import tensor_shapes
from tests.test_case import TestCase


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def small_encoder(**arguments):
    arguments = {"input_shape": (8, 8, 1), "widths": [4], **arguments}
    return encoders.create("convnet", **arguments)


def edit_config(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.update(changes)
    path.write_text(json.dumps(config))


class SavePretrainedTest(TestCase):
    def test_writes_two_files(self, tmp_path):
        folder = tmp_path / "new" / "encoder"
        encoder = small_encoder(
            channel_mean=0.4, channel_std=0.2, value_range=(0, 65535)
        )
        encoder.training_record = {"objective": "nt_xent", "steps": 3}
        encoder.save_pretrained(folder)
        assert sorted(p.name for p in folder.iterdir()) == [
            "config.json",
            "model.weights.h5",
        ]
        config = json.loads((folder / "config.json").read_text())
        assert len(config.pop("weights_sha256")) == 64
        assert config.pop("versions").keys() == {"keras_tc2", "keras", "tensorflow"}
        assert config == {
            "library": "keras_tc2",
            "format_version": 2,
            "builder": "convnet",
            "arguments": {"widths": [4], "batch_norm_momentum": 0.9},
            "input_size": [8, 8],
            "channels": 1,
            "value_range": [0.0, 65535.0],
            "preprocessing": {"channel_mean": [0.4], "channel_std": [0.2]},
            "feature_dim": 4,
            "training": {"objective": "nt_xent", "steps": 3},
        }

    def test_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        encoder = small_encoder()
        encoder.save_pretrained("~/encoder")
        assert from_pretrained("~/encoder").feature_dim == 4
        encoders.Classifier(encoder, 2).save_pretrained("~/classifier")
        assert encoders.Classifier.from_pretrained("~/classifier").head.num_classes == 2
        (tmp_path / "a.png").write_bytes(b"picture")
        encoder.push_to_hub("me/enc", dry_run="~/dry", pictures=["~/a.png"])
        encoder.export("~/exported")
        made = {"encoder", "classifier", "a.png", "dry", "exported"}
        assert {path.name for path in tmp_path.iterdir()} == made

    def test_holds_no_optimizer(self, tmp_path):
        encoder = small_encoder()
        encoder.compile("adam", "mse")
        encoder.fit(images(4, 8, 8, 1), np.ones((4, 4)), verbose=0)
        encoder.save_pretrained(tmp_path)
        shapes = tensor_shapes(tmp_path / "model.weights.h5")
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        assert sum(sizes) == encoder.network.count_params()

    def test_keras_itself_reads_the_weights(self, tmp_path):
        encoder, other = small_encoder(), small_encoder()
        encoder.save_pretrained(tmp_path)
        other.network.load_weights(tmp_path / "model.weights.h5")
        x = images(2, 8, 8, 1)
        self.assert_close(other(x), encoder(x), atol=0, rtol=0)

    def test_replaces_what_was_there(self, tmp_path):
        small_encoder().save_pretrained(tmp_path)
        encoder = small_encoder(widths=[5])
        encoder.save_pretrained(tmp_path)
        assert from_pretrained(tmp_path).feature_dim == 5
        assert len(list(tmp_path.iterdir())) == 2

    def test_wrapped_models_are_refused(self, tmp_path):
        inputs = keras.Input((8, 8, 1))
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
        with pytest.raises(ValueError, match=r"encoders\.register\(name\)"):
            Encoder.wrap(model).save_pretrained(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_an_encoder_of_the_users_own(self, tmp_path, monkeypatch):
        monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))

        @encoders.register("own")
        def own(input_shape, *, width=3):
            x = keras.Input(input_shape)
            return keras.Model(x, keras.layers.Conv2D(width, 1)(x))

        encoder = encoders.create("own", input_shape=(4, 4, 1), width=2)
        encoder.save_pretrained(tmp_path)
        x = images(2, 4, 4, 1)
        self.assert_close(from_pretrained(tmp_path)(x), encoder(x), atol=0, rtol=0)
        del registry._BUILDERS["own"]
        with pytest.raises(hub.ConfigError, match=r"Unknown encoder 'own'.*register"):
            from_pretrained(tmp_path)


class FromPretrainedTest(TestCase):
    @pytest.mark.slow(reason="the test of a push loads in a fresh process too")
    def test_features_are_identical_in_a_fresh_process(self, tmp_path):
        encoder = small_encoder(widths=[3, 5], channel_mean=0.4, channel_std=0.3)
        x = images(4, 8, 8, 1)
        encoder(x, training=True)
        encoder.training_record = {"steps": 7}
        encoder.save_pretrained(tmp_path / "encoder")
        np.save(tmp_path / "x.npy", x)
        script = """
            import sys
            import numpy as np
            from keras_tc2.encoders import from_pretrained

            encoder = from_pretrained(sys.argv[1] + "/encoder")
            assert encoder.training_record == {"steps": 7}
            x = np.load(sys.argv[1] + "/x.npy")
            np.save(sys.argv[1] + "/features.npy", encoder.predict(x, verbose=0))
        """
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
            check=True,
            env={**os.environ, "PYTHONPATH": os.getcwd(), "CUDA_VISIBLE_DEVICES": ""},
        )
        features = np.load(tmp_path / "features.npy")
        # That process has no GPU; this one may, and sums in another order there.
        self.assert_close(features, encoder.predict(x, verbose=0), rtol=1e-5)

    def test_what_was_saved_is_restored(self, tmp_path):
        encoder = small_encoder(value_range=(0, 1), channel_mean=0.4, channel_std=0.3)
        encoder.training_record = {"objective": "vicreg"}
        encoder.save_pretrained(tmp_path)
        reloaded = from_pretrained(str(tmp_path))
        assert reloaded.value_range == (0.0, 1.0)
        assert reloaded.training_record == {"objective": "vicreg"}
        assert reloaded.image_shape == (8, 8, 1)
        reloaded.save_pretrained(tmp_path / "again")
        a, b = (p / "config.json" for p in (tmp_path, tmp_path / "again"))
        assert a.read_text() == b.read_text()

    def test_many_channels(self, tmp_path):
        mean = [0.001 * channel for channel in range(100)]
        encoder = small_encoder(
            input_shape=(8, 8, 100), channel_mean=mean, channel_std=0.2
        )
        encoder.save_pretrained(tmp_path)
        assert from_pretrained(tmp_path).recipe == encoder.recipe

    def test_trainable(self, tmp_path):
        small_encoder().save_pretrained(tmp_path)
        assert from_pretrained(tmp_path).trainable_variables
        assert not from_pretrained(tmp_path, trainable=False).trainable_variables

    def test_loads_under_another_precision(self, tmp_path):
        encoder = small_encoder()
        encoder.save_pretrained(tmp_path)
        keras.config.set_dtype_policy("mixed_float16")
        x = images(2, 8, 8, 1)
        self.assert_close(from_pretrained(tmp_path)(x), encoder(x), atol=2e-3)

    def test_loading_leaves_random_state_and_names_alone(self, tmp_path):
        small_encoder().save_pretrained(tmp_path)
        keras.utils.set_random_seed(0)
        from_pretrained(tmp_path)
        inputs = keras.Input((8, 8, 1))
        both = [from_pretrained(tmp_path)(inputs), from_pretrained(tmp_path)(inputs)]
        assert keras.Model(inputs, both).output_shape == [(None, 4), (None, 4)]


class DamagedFolderTest(TestCase):
    @pytest.fixture
    def folder(self, tmp_path):
        small_encoder().save_pretrained(tmp_path)
        return tmp_path

    def new_checksum(self, folder):
        checksum = sha256(folder / "model.weights.h5")
        edit_config(folder, weights_sha256=checksum)

    def test_intact(self, folder):
        self.new_checksum(folder)
        assert from_pretrained(folder).feature_dim == 4

    def test_changed_weights(self, folder):
        with h5py.File(folder / "model.weights.h5", "r+") as file:
            file["layers/functional/layers/conv2d/vars/0"][0] += 1
        with pytest.raises(hub.WeightsError, match=r"checksum.*force_download"):
            from_pretrained(folder)

    def test_truncated_weights(self, folder):
        path = folder / "model.weights.h5"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.new_checksum(folder)
        with pytest.raises(hub.WeightsError, match=r"truncated.*force_download"):
            from_pretrained(folder)

    def test_weights_of_another_shape(self, folder):
        edit_config(folder, arguments={"widths": [5], "batch_norm_momentum": 0.9})
        message = r"conv2d/vars/0 has \(3, 3, 1, 4\), needs \(3, 3, 1, 5\)"
        with pytest.raises(hub.WeightsError, match=message):
            from_pretrained(folder)

    def test_missing_and_extra_tensors(self, folder):
        with h5py.File(folder / "model.weights.h5", "r+") as file:
            del file["layers/functional/layers/conv2d/vars/0"]
            file["layers/functional/layers/dense/vars/0"] = np.ones(3)
        self.new_checksum(folder)
        message = r"missing: \S*conv2d/vars/0; not of this encoder: \S*dense/vars/0"
        with pytest.raises(hub.WeightsError, match=message):
            from_pretrained(folder)

    def test_nan_weights(self, folder):
        with h5py.File(folder / "model.weights.h5", "r+") as file:
            file["layers/functional/layers/conv2d/vars/0"][0] = np.nan
        self.new_checksum(folder)
        with pytest.raises(hub.WeightsError, match=r"NaN.*conv2d/vars/0.*diverged"):
            from_pretrained(folder)

    def test_another_feature_dimension(self, folder):
        edit_config(folder, feature_dim=5)
        with pytest.raises(hub.ConfigError, match="5 features; its encoder gives 4"):
            from_pretrained(folder)

    def test_missing_weights(self, folder):
        (folder / "model.weights.h5").unlink()
        with pytest.raises(FileNotFoundError, match=r"no model\.weights\.h5"):
            from_pretrained(folder)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"builder": "nothing"}, "Unknown encoder 'nothing'"),
            ({"builder": {"class_name": "Lambda"}}, "`builder`"),
            ({"arguments": {"widths": [10**9]}}, "`widths`"),
            ({"arguments": {"widths": {"module": "os"}}}, "`widths`"),
            ({"arguments": {"widths": [8192] * 9}}, "has .* bytes, but"),
            ({"arguments": {"widths": "abc"}}, "`widths` must be a list"),
            ({"arguments": {"depth": 3}}, "no argument `depth`"),
            ({"arguments": [4]}, "`arguments`"),
            ({"input_size": [8]}, "`input_size`"),
            ({"input_size": [10**5, 8]}, "height.*<= 4096"),
            ({"channels": 10**6}, "channels.*<= 1024"),
            ({"channels": 1.0}, "channels"),
            ({"value_range": [0]}, "config.json"),
            ({"value_range": [1, 0]}, "low < high"),
            ({"value_range": "01"}, "list of numbers"),
            ({"value_range": [0.5] * 1025}, "list of up to 1024"),
            ({"preprocessing": {"class_name": "Lambda"}}, "`preprocessing`"),
            (
                {"preprocessing": {"channel_mean": ["a"], "channel_std": [1]}},
                "list of numbers",
            ),
            ({"training": "text"}, "`training`"),
            ({"module": "os"}, r"unknown keys \['module'\]"),
            ({"format_version": 3}, "format version 3.*pip install --upgrade"),
            ({"format_version": True}, "format_version"),
        ],
    )
    def test_bad_config(self, folder, changes, message):
        edit_config(folder, **changes)
        with pytest.raises(hub.FolderError, match=message):
            from_pretrained(folder)
