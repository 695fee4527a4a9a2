import numpy as np
import pytest

from keras_tc2.transfer import video
from tests.test_case import TestCase


def square(top, left, side=4, size=(20, 20)):
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    return mask


class RegionTest(TestCase):
    def test_by_hand(self):
        assert video.region_similarity(square(2, 2), square(2, 2)) == 1
        assert video.region_similarity(square(2, 2), square(2, 4)) == 8 / 24
        assert video.region_similarity(square(2, 2), square(9, 9)) == 0
        empty = np.zeros((20, 20), bool)
        assert video.region_similarity(empty, empty) == 1
        assert video.region_similarity(square(2, 2), empty) == 0


class BoundaryTest(TestCase):
    def test_by_hand(self):
        # The diagonal is 28 pixels: 0.008 of it is rounded up to one.
        assert video.boundary_accuracy(square(2, 2), square(2, 2)) == 1
        assert video.boundary_accuracy(square(2, 2), square(2, 3)) == 1
        assert video.boundary_accuracy(square(2, 2), square(12, 12)) == 0
        empty = np.zeros((20, 20), bool)
        assert video.boundary_accuracy(empty, empty) == 1
        assert video.boundary_accuracy(square(2, 2), empty) == 0

    def test_against_loops(self):
        generator = np.random.default_rng(0)

        def boundary(mask):
            points = []
            for r, c in np.argwhere(mask):
                near = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
                # The border of the image is no boundary.
                inside = [mask[p] for p in near if min(p) >= 0 and max(p) < len(mask)]
                if not all(inside):
                    points.append((r, c))
            return np.array(points)

        def share(own, other):
            distances = np.linalg.norm(own[:, None] - other[None], axis=-1)
            return np.mean(distances.min(1) <= 1)

        for _ in range(8):
            a = square(*generator.integers(0, 15, 2), side=6)
            b = square(*generator.integers(0, 14, 2), side=7)
            precision = share(boundary(a), boundary(b))
            recall = share(boundary(b), boundary(a))
            total = precision + recall
            expected = 2 * precision * recall / total if total else 0.0
            assert video.boundary_accuracy(a, b) == pytest.approx(expected)


class KeypointTest(TestCase):
    def test_by_hand(self):
        truth = np.array([[[0, 0], [10, 0], [0, 20]]], float)
        points = truth + np.array([[[0, 1], [0, 3], [5, 0]]])
        # The box is 20 pixels long: 0.1 allows 2, 0.2 allows 4.
        assert video.correct_keypoints(points, truth, alpha=0.1) == pytest.approx(1 / 3)
        assert video.correct_keypoints(points, truth, alpha=0.2) == pytest.approx(2 / 3)
        assert video.correct_keypoints(points, truth, alpha=0.1, size=50) == 1
        hidden = truth.copy()
        hidden[0, 2] = np.nan
        assert video.correct_keypoints(points, hidden, alpha=0.4) == 1
        lost = points.copy()
        lost[0, 0] = np.nan
        assert video.correct_keypoints(lost, truth, alpha=1.0) == pytest.approx(2 / 3)

    def test_errors(self):
        with pytest.raises(ValueError, match="one shape"):
            video.correct_keypoints(np.zeros((2, 2)), np.zeros((3, 2)), alpha=0.1)
        one = np.array([[[5.0, 5.0], [np.nan, np.nan]]])
        with pytest.raises(ValueError, match="Give `size`"):
            video.correct_keypoints(one, one, alpha=0.2)
        assert video.correct_keypoints(one, one, alpha=0.2, size=10) == 1
        with pytest.raises(ValueError, match="visible"):
            video.correct_keypoints(
                np.zeros((2, 2)), np.full((2, 2), np.nan), alpha=0.1
            )
