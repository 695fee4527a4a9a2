"""The commands, as a shell gives them, on a folder of pictures."""

import json
import shlex

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import yaml

import keras_tc2 as tc2
from keras_tc2.cli import main
from tests.test_case import TestCase


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(16):
            kind = folder / split / ("dark" if number % 2 else "bright")
            kind.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 100, (8, 8)) + 100 * (number % 2)
            PIL.Image.fromarray(pixels.astype("uint8")).save(kind / f"{number}.png")
    return folder


SETTINGS = {
    "image_size": 8,
    "encoder": "convnet",
    "encoder_arguments": '{"widths": [4]}',
    "batch_size": 8,
    "num_tasks": 2,
    "warmup_epochs": 1,
}


def flags(**values):
    return [f"--{name}={value}" for name, value in values.items()]


class MainTest(TestCase):
    def test_pretrain_again_then_transfer_and_report(self, folder, tmp_path, capsys):
        run = tmp_path / "run"
        settings = tmp_path / "settings.yaml"
        settings.write_text(yaml.safe_dump({**SETTINGS, "epochs": 99}))
        # A flag wins over the file.
        command = ["pretrain", f"--config={settings}", "--epochs=2"]
        command += flags(images=folder / "train", output_dir=run)
        assert main(command) == 0
        history = json.loads((run / "history.json").read_text())
        assert len(history["loss"]) == 2 and (run / "training_report.html").exists()
        encoder = tc2.from_pretrained(run / "encoder")
        assert encoder.image_shape == (8, 8, 1)
        record = encoder.training_record
        assert record["method"] == "tc2"
        start, name, *given = shlex.split(record["command"])
        assert (start, name) == ("keras-tc2", "pretrain")
        expected = {**SETTINGS, "epochs": 2}
        expected |= {"images": folder / "train", "output_dir": run}
        assert set(given) == set(flags(**expected))
        # The same command finds a finished run.
        weights = encoder.get_weights()
        assert main(command) == 0
        for one, other in zip(
            weights, tc2.from_pretrained(run / "encoder").get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)

        measured = tmp_path / "measured"
        command = flags(
            encoders=f"{run / 'encoder'}", datasets=folder, output_dir=measured
        )
        assert main(["transfer", *command, "--protocols=knn"]) == 0
        assert "knn" in capsys.readouterr().out
        assert (measured / "report.md").read_text().startswith("|")
        joined = tmp_path / "all.html"
        reports = measured / "report.json"
        assert main(["report", *flags(reports=reports, output=joined)]) == 0
        assert "<html" in joined.read_text()

    def test_what_was_measured_is_kept(self, folder, tmp_path, capsys):
        for channels in (1, 2):
            shape = (8, 8, channels)
            encoder = tc2.encoders.create("convnet", input_shape=shape, widths=[4])
            encoder.save_pretrained(tmp_path / f"{channels}")
        report = tmp_path / "new" / "report.json"

        def measure(encoders, output_dir):
            settings = flags(encoders=encoders, datasets=folder, output_dir=output_dir)
            return main(["transfer", *settings, "--protocols=knn"])

        first = tmp_path / "1"
        assert measure(f"{first},/nowhere", report.parent) == 1
        assert "/nowhere" in capsys.readouterr().err and not report.exists()
        assert measure(f"{first},{tmp_path / '2'}", report.parent) == 1
        assert "1 channels where 2 are expected" in capsys.readouterr().err
        assert tc2.transfer.TransferReport.from_json(report).encoders == [str(first)]
        # A folder that cannot be made comes first.
        assert measure("/nowhere", report / "folder") == 1
        assert "report.json" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("command", "status", "message"),
        [
            (["pretrian"], 2, "Unknown command 'pretrian'"),
            (["pretrain", "--epoch=3"], 2, "epoch"),
            (["pretrain", "--epochs=three"], 2, "three"),
            (["pretrain", "more"], 2, "more"),
            (["pretrain"], 1, "--images is needed"),
            (["pretrain", "--images=/nowhere", "--output_dir=x"], 1, "/nowhere"),
            (["transfer", "--config=/nowhere.yaml"], 2, "There is no file"),
            (["report", "--reports=/nowhere.json", "--output=x"], 1, "nowhere"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_what_is_wrong_is_said(
        self, command, status, message, capsys, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        assert main(command) == status
        assert message in capsys.readouterr().err

    def test_a_key_that_is_no_flag(self, tmp_path, capsys):
        path = tmp_path / "settings.yaml"
        path.write_text("epoch: 3")
        assert main(["pretrain", f"--config={path}"]) == 2
        assert "no flag 'epoch'. Did you mean 'epochs'" in capsys.readouterr().err

    def test_records_by_a_file_of_settings(self, folder, tmp_path, monkeypatch):
        """Keys without a value, a mapping in place of JSON, and the home folder."""
        monkeypatch.setenv("HOME", str(tmp_path))
        with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
            for path in sorted(folder.glob("train/*/*.png")):
                image = tf.train.BytesList(value=[path.read_bytes()])
                features = {"image": tf.train.Feature(bytes_list=image)}
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        settings = {**SETTINGS, "method": "ssl", "epochs": 1, "split": None}
        settings |= {"data_dir": None, "encoder_arguments": {"widths": [5]}}
        (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
        command = ["--config=~/settings.yaml", "--images=~/a.tfrecord"]
        assert main(["pretrain", *command, "--output_dir=~/run"]) == 0
        assert tc2.from_pretrained(tmp_path / "run" / "encoder").feature_dim == 5
        assert not (tmp_path / "~").exists()

    @pytest.mark.parametrize("content", ['{"loss": [1, 2]}', "[1]", "text"])
    def test_a_file_that_is_no_report(self, content, tmp_path, capsys):
        path = tmp_path / "history.json"
        path.write_text(content)
        assert main(["report", *flags(reports=path, output=tmp_path / "a.html")]) == 1
        assert f"{path} is no `report.json`" in capsys.readouterr().err

    def test_settings_that_are_no_text(self, tmp_path, capsys):
        path = tmp_path / "settings.yaml"
        path.write_bytes(b"\xff\xfe\xfa")
        assert main(["pretrain", f"--config={path}"]) == 2
        assert "is no YAML file" in capsys.readouterr().err

    def test_arguments_of_an_encoder_that_are_a_list(self, folder, tmp_path, capsys):
        settings = {**SETTINGS, "encoder_arguments": "[1]", "output_dir": tmp_path}
        assert main(["pretrain", *flags(images=folder / "train", **settings)]) == 1
        assert "must be a JSON object" in capsys.readouterr().err

    def test_help(self, capsys):
        assert main([]) == main(["--help"]) == main(["pretrain", "--help"]) == 0
        assert "--learning_rate" in capsys.readouterr().out

    @pytest.mark.parametrize("method", ["ssl", "tc2_full", "other"])
    def test_methods(self, method, folder, tmp_path, capsys):
        command = flags(**SETTINGS, method=method, epochs=1, output_dir=tmp_path)
        status = main(["pretrain", *command, *flags(images=folder / "train")])
        assert status == (1 if method == "other" else 0)
        if method == "other":
            assert "--method must be one of" in capsys.readouterr().err
