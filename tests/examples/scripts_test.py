"""The example scripts themselves, shrunken, on a few of the embedded images."""

import csv
import json

import pytest

from tests.scripts import ROOT, run
from tests.test_case import TestCase


class DemoTest(TestCase):
    def test_writes_table_picture_and_encoder(self, examples, tmp_path):
        result = run(
            examples / "demo.py",
            f"--output_dir={tmp_path}",
            "--epochs=2",
            "--steps_per_epoch=2",
            "--batch_size=16",
            "--datasets=digits_28px",
        )
        assert "features identical: True" in result.stdout
        table = (tmp_path / "table.md").read_text()
        for method in ("untrained", "base SSL", "base SSL, task views", "TC²"):
            assert f"| {method} |" in table
        rows = json.loads((tmp_path / "report.json").read_text())["rows"]
        assert len(rows) == 4 * 2
        assert (tmp_path / "comparison.png").stat().st_size > 10_000


class PretrainTest(TestCase):
    @pytest.mark.parametrize(
        "flags",
        [
            # Base SSL and a single replica train in the tests of the pretrainers, and
            # the next case runs the same script.
            pytest.param(
                [
                    "--method=base",
                    "--task_augmentation",
                    "--objective=vicreg",
                    "--strategy=mirrored",
                ],
                marks=pytest.mark.slow,
            ),
            [
                "--method=full_tc2",
                "--inner_scope=encoder",
                "--inner_order=1",
                "--strategy=multiworker",
                "--probe_images=0",
            ],
        ],
    )
    def test_then_transfer(self, flags, examples, tmp_path):
        shrunken = ["--epochs=2", "--steps_per_epoch=2", "--batch_size=16"]
        shrunken += ["--probe_images=60"]
        run(examples / "pretrain.py", f"--output_dir={tmp_path}", *shrunken, *flags)
        with open(tmp_path / "history.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2
        # Callbacks that judge the encoder are left out where there may be more hosts.
        measured = "loss" if "--strategy=multiworker" in flags else "probe_knn_accuracy"
        assert all(float(row[measured]) >= 0 for row in rows)
        assert all(float(row["skipped_updates"]) == 0 for row in rows)
        assert (tmp_path / "curves.png").stat().st_size > 5_000
        assert list((tmp_path / "logs").rglob("events.*"))
        if flags[0] == "--method=full_tc2":
            result = run(
                examples / "transfer.py",
                f"--encoder={tmp_path / 'encoder'}",
                "--datasets=digits_28px",
                f"--data_dir={examples / 'data'}",
                "--protocols=knn",
                f"--output_dir={tmp_path / 'transfer'}",
            )
            assert "digits_28px" in result.stdout


class DetectionTest(TestCase):
    @pytest.mark.slow(reason="traces for half a minute; transfer/detection_test trains")
    def test_trains_and_counts_what_it_found(self, examples):
        result = run(
            examples / "detection.py",
            f"--data_dir={examples / 'data'}",
            "--num_train=16",
            "--num_test=2",
            "--epochs=1",
        )
        assert "% of 4 digits found (IoU 0.5)" in result.stdout


class VideoTest(TestCase):
    @pytest.mark.parametrize(
        ("paths", "said"),
        [
            ("a/encoder,b/encoder", "a/encoder and b/encoder are both 'encoder'"),
            pytest.param(
                "a/encoder,b/untrained",
                "b/untrained are both 'untrained'",
                marks=pytest.mark.slow(reason="another process for another name"),
            ),
        ],
    )
    def test_refuses_two_encoders_of_one_name(self, paths, said, examples, tmp_path):
        flags = [f"--encoders={paths}", f"--output_dir={tmp_path}"]
        result = run(examples / "video.py", *flags, fails=True)
        assert said in result.stderr

    def test_writes_report_and_pictures(self, examples, tmp_path):
        encoder = "hub/encoders/tc2-convnet-fashion"
        result = run(
            examples / "video.py",
            f"--output_dir={tmp_path}",
            f"--encoders={ROOT / encoder}",
            "--clips=1",
            "--length=3",
        )
        assert "| label_propagation | J |" in result.stdout
        rows = json.loads((tmp_path / "report.json").read_text())["rows"]
        assert len(rows) == 3 * 2 * 2
        for name in ("tc2-convnet-fashion", "untrained", "pixels"):
            assert (tmp_path / f"{name}.png").stat().st_size > 5_000
