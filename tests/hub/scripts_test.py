"""The scripts in `hub/`, and the encoders that stand beside them."""

import json

import numpy as np
import pytest

from keras_tc2 import encoders, transfer
from keras_tc2.encoders import from_pretrained
from tests.scripts import ROOT, run
from tests.test_case import TestCase

RELEASED = sorted(path.parent for path in ROOT.glob("hub/encoders/*/config.json"))


class ScriptsTest(TestCase):
    def test_publish_then_fetch(self, tmp_path):
        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        encoder.training_record = {"objective": "nt_xent"}
        encoder.save_pretrained(tmp_path / "encoder")
        row = {"encoder": "a", "dataset": "mnist", "protocol": "knn", "accuracy": 0.9}
        report = tmp_path / "report.json"
        transfer.TransferReport([{**row, "seconds": 1.0}]).to_json(report)
        output = run(
            "hub/publish.py",
            f"--encoder={tmp_path / 'encoder'}",
            "--repo_id=me/enc",
            f"--report={report}",
            "--license=apache-2.0",
            f"--dry_run={tmp_path / 'published'}",
        )
        assert output.stdout.strip().endswith(str(tmp_path / "published"))
        assert (
            "| accuracy | 90.00 |" in (tmp_path / "published" / "README.md").read_text()
        )
        output = run(
            "hub/fetch.py",
            f"--encoder={tmp_path / 'published'}",
            f"--output_dir={tmp_path / 'fetched'}",
        )
        assert "(8, 8, 1) -> 4 features" in output.stdout
        assert "nt_xent" in output.stdout
        x = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)).astype("uint8")
        np.testing.assert_array_equal(
            from_pretrained(tmp_path / "fetched")(x), encoder(x)
        )


class ReleasedEncodersTest(TestCase):
    @pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
    def test_loads_and_is_documented(self, folder):
        encoder = from_pretrained(folder)
        x = np.random.default_rng(0).integers(0, 256, (4, *encoder.image_shape))
        features = np.asarray(encoder(x.astype("uint8")))
        assert features.shape == (4, encoder.feature_dim)
        assert np.isfinite(features).all() and features.std(axis=0).max() > 0
        assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
        config = json.loads((folder / "config.json").read_text())
        assert config["training"]["command"]
        assert config["training"]["command"] in (folder / "README.md").read_text()
