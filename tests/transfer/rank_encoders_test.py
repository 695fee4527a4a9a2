import json

import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2.transfer import rank_encoders, scores
from keras_tc2.transfer.rank_encoders import EncoderRanking
from tests.test_case import TestCase
from tests.transfer.evaluate_test import bright_and_dark


def pixels_of(tells):
    """Three features, of which the last tells which half of an image is bright."""
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(64, 3))
    kernel -= kernel.reshape(2, 32, 3).mean(1).repeat(32, axis=0)
    if tells:
        kernel[:, 2] = np.repeat([10.0, -10.0], 32)
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), dense])
    dense.set_weights([kernel])
    return model


class RankEncodersTest(TestCase):
    def test_the_better_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        images, labels = bright_and_dark(60)
        encoders = {"noisy": pixels_of(False), "clear": pixels_of(True)}
        ranking = rank_encoders(encoders, images, labels, scores=["knn_score"])
        assert ranking.best == "clear"
        features = tc2.transfer.extract_features(encoders["noisy"], images)
        assert ranking.rows[1]["knn_score"] == scores.knn_score(features, labels)
        table = ranking.to_markdown().splitlines()
        assert table[0] == "| encoder | knn_score | mean rank | seconds |"
        assert table[2].startswith("| clear |") and str(ranking) == "\n".join(table)
        ranking.to_json("~/ranking.json")
        rows = json.loads((tmp_path / "ranking.json").read_text())["rows"]
        assert [row["encoder"] for row in rows] == ["clear", "noisy"]

    def test_folders_models_and_scores_of_one_s_own(self, tmp_path):
        images, labels = bright_and_dark(40)
        encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 3), widths=(4,))
        encoder.save_pretrained(tmp_path / "saved")

        def width(features, labels):
            return features.shape[1]

        ranking = rank_encoders(
            [str(tmp_path / "saved"), pixels_of(True)],
            images,
            labels,
            scores=[width, "log_me", "h_score"],
        )
        by_name = {row["encoder"]: row for row in ranking.rows}
        assert by_name[str(tmp_path / "saved")]["width"] == 4
        assert {"log_me", "h_score", "seconds"} <= set(ranking.rows[0])

    def test_mean_ranks_share_ties(self):
        rows = [
            {"encoder": "a", "x": 1.0, "y": 0.0, "seconds": 0.0},
            {"encoder": "b", "x": 1.0, "y": 2.0, "seconds": 0.0},
            {"encoder": "c", "x": 0.0, "y": 1.0, "seconds": 0.0},
        ]
        ranking = EncoderRanking(rows, ["x", "y"])
        found = {row["encoder"]: row["mean_rank"] for row in ranking.rows}
        assert found == {"b": (1.5 + 1) / 2, "a": (1.5 + 3) / 2, "c": (3 + 2) / 2}
        assert ranking.best == "b"

    def test_what_is_no_number_ranks_last(self):
        rows = [
            {"encoder": name, "x": value, "seconds": 0.0}
            for name, value in (("a", np.nan), ("b", -5.0), ("c", np.nan))
        ]
        ranking = EncoderRanking(rows, ["x"])
        assert [row["mean_rank"] for row in ranking.rows] == [1.0, 2.5, 2.5]
        assert ranking.best == "b"

    def test_errors(self):
        images, labels = bright_and_dark(20)
        pair = [pixels_of(True), pixels_of(False)]
        with pytest.raises(ValueError, match="At least two encoders"):
            rank_encoders({"a": pair[0]}, images, labels)
        named = dict(zip("ab", pair, strict=True))
        with pytest.raises(ValueError, match="'log_me'"):
            rank_encoders(named, images, labels, scores=["logme"])
        with pytest.raises(ValueError, match="at least one"):
            rank_encoders(named, images, labels, scores=[])
        with pytest.raises(ValueError, match="each of the 20 images"):
            rank_encoders(named, images, labels[:-1])
        same = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=(4,))
        with pytest.raises(ValueError, match="give a dict from names"):
            rank_encoders([same, same], images, labels)
