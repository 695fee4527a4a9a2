import numpy as np
import pytest

from keras_tc2 import data
from tests.test_case import TestCase

GENERATOR = np.random.default_rng(0)
# Four groups of 15 images; the target is like groups 2 and, half as often, 0.
GROUPS = np.arange(60) % 4
SOURCE = GENERATOR.normal(size=(60, 5)) + 20 * np.eye(5)[GROUPS]
TARGET = GENERATOR.normal(size=(30, 5)) + 20 * np.eye(5)[np.array([2, 2, 0] * 10)]


class PruneTest(TestCase):
    def test_keeps_what_the_target_uses(self):
        pruning = data.prune(SOURCE, TARGET, keep=0.5, num_clusters=4)
        assert len(pruning.kept) == 30 and set(GROUPS[pruning.kept]) == {0, 2}
        both = np.sort(np.concatenate([pruning.kept, pruning.dropped]))
        np.testing.assert_array_equal(both, np.arange(60))
        # Whole groups, the most used first.
        quarter = data.prune(SOURCE, TARGET, keep=0.25, num_clusters=4)
        np.testing.assert_array_equal(quarter.kept, np.flatnonzero(GROUPS == 2))
        assert sorted(pruning.target_counts.tolist()) == [0, 0, 10, 20]

    def test_of_the_last_cluster_the_nearest_to_its_center(self):
        pruning = data.prune(SOURCE, TARGET, keep=20 / 60, num_clusters=4)
        group = SOURCE[GROUPS == 0]
        far = np.linalg.norm(group - group.mean(0), axis=1)
        nearest = np.flatnonzero(GROUPS == 0)[np.argsort(far)[:5]]
        expected = np.sort([*np.flatnonzero(GROUPS == 2), *nearest])
        np.testing.assert_array_equal(pruning.kept, expected)

    def test_all_of_unused_clusters_come_by_distance(self):
        # Group 1 is moved towards the target, group 3 away.
        source = SOURCE.copy()
        source[GROUPS == 1] += 4 * (np.eye(5)[2] - np.eye(5)[1])
        source[GROUPS == 3] += 40 * np.eye(5)[3]
        for scale in (1.0, 1e-6):
            pruning = data.prune(
                scale * source, scale * TARGET, keep=0.75, num_clusters=4
            )
            assert set(GROUPS[pruning.kept]) == {0, 1, 2}

    def test_everything_may_be_kept(self):
        pruning = data.prune(SOURCE, TARGET, keep=1.0)
        assert len(pruning.dropped) == 0 and len(pruning.target_counts) == 8

    def test_picture(self):
        pruning = data.prune(SOURCE, TARGET, keep=0.5, num_clusters=4)
        images = np.zeros((60, 6, 6, 1), "uint8")
        figure = pruning.plot(images, num_clusters=2, num_images=3)
        assert len(figure.axes) == 4 * 3
        assert "20 of target" in figure.axes[0].get_ylabel()
        assert "0% kept" in figure.axes[-3].get_ylabel()

    @pytest.mark.parametrize("channels", [2, 3, 12])
    def test_picture_of_any_channels(self, channels):
        pruning = data.prune(SOURCE, TARGET, keep=0.5, num_clusters=4)
        figure = pruning.plot(np.zeros((60, 6, 6, channels), "uint8"))
        shape = figure.axes[0].images[0].get_array().shape
        assert shape == ((6, 6) if channels == 2 else (6, 6, 3))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"keep": 0.0}, "`keep`"),
            ({"keep": 1.5}, "`keep`"),
            ({"num_clusters": 1}, "num_clusters"),
            ({"num_clusters": 61}, "at least num_clusters=61"),
            ({"target_features": TARGET[:, :4]}, "of one encoder"),
            ({"target_features": TARGET[:0]}, "one target image"),
        ],
        ids=str,
    )
    def test_errors(self, changes, message):
        arguments = {"source_features": SOURCE, "target_features": TARGET, "keep": 0.5}
        with pytest.raises(ValueError, match=message):
            data.prune(**{**arguments, **changes})
