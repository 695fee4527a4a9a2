import numpy as np
import pytest

from keras_tc2.transfer import knn_accuracy
from keras_tc2.transfer.features import cosine
from keras_tc2.transfer.protocols.knn import weighted_vote
from tests.test_case import TestCase
from tests.transfer.blobs import blobs


def plain_knn(train, train_labels, test, test_labels, k, temperature):
    """The vote as a loop over test images, from its definition."""
    right = 0
    for row, label in zip(test, test_labels, strict=True):
        similarity = [
            float(row @ other / (np.linalg.norm(row) * np.linalg.norm(other)))
            for other in train
        ]
        nearest = sorted(range(len(train)), key=lambda i: -similarity[i])[:k]
        votes = {}
        for i in nearest:
            weight = np.exp(similarity[i] / temperature)
            votes[train_labels[i]] = votes.get(train_labels[i], 0) + weight
        right += max(votes, key=votes.get) == label
    return right / len(test)


class KNNTest(TestCase):
    @pytest.mark.parametrize("k, temperature", [(1, 0.07), (7, 0.07), (20, 0.5)])
    def test_equals_the_definition(self, k, temperature):
        train, test = blobs(150, seed=1), blobs(90, seed=2)
        expected = plain_knn(*train, *test, k, temperature)
        assert 0.4 < expected < 0.95
        actual = knn_accuracy(*train, *test, k=k, temperature=temperature)
        self.assert_close(actual, expected)

    def test_the_weights_matter(self):
        # Two near neighbours of class 0 against three far ones of class 1.
        angles = np.array([0.1, 0.1, 1.0, 1.0, 1.0])
        train = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        labels = [0, 0, 1, 1, 1]
        test = np.array([[1.0, 0.0]])
        assert knn_accuracy(train, labels, test, [0], k=5) == 1.0
        assert knn_accuracy(train, labels, test, [1], k=5, temperature=100.0) == 1.0

    def test_scale_of_features_does_not_matter(self):
        train, test = blobs(60, seed=1), blobs(40, seed=2)
        scale = np.random.default_rng(0).uniform(0.1, 9, size=(60, 1))
        assert knn_accuracy(*train, *test) == knn_accuracy(
            train[0] * scale, train[1], *test
        )

    def test_chunks_do_not_change_neighbours(self, monkeypatch):
        # Whole numbers: inner products are exact and full of ties.
        generator = np.random.default_rng(0)
        train = generator.integers(-2, 3, size=(57, 4)).astype("float32")
        queries = generator.integers(-2, 3, size=(23, 4)).astype("float32")
        whole = cosine.nearest(train, queries, 10)
        order = np.argsort(-(queries @ train.T), axis=1, kind="stable")[:, :10]
        np.testing.assert_array_equal(whole[1], order)
        for test_chunk, train_chunk in [(5, 57), (23, 7), (4, 1), (1, 20)]:
            monkeypatch.setattr(cosine, "QUERY_CHUNK", test_chunk)
            monkeypatch.setattr(cosine, "TRAIN_CHUNK", train_chunk)
            pieces = cosine.nearest(train, queries, 10)
            np.testing.assert_array_equal(whole[0], pieces[0])
            np.testing.assert_array_equal(whole[1], pieces[1])

    def test_chunks_do_not_change_the_accuracy(self, monkeypatch):
        train, test = blobs(150, seed=1), blobs(90, seed=2)
        whole = knn_accuracy(*train, *test)
        monkeypatch.setattr(cosine, "QUERY_CHUNK", 8)
        monkeypatch.setattr(cosine, "TRAIN_CHUNK", 11)
        assert knn_accuracy(*train, *test) == whole

    def test_of_equal_rows_the_earlier_is_nearer(self):
        # Products differ in the last bits by their place and by the processor.
        generator = np.random.default_rng(0)
        row = cosine.unit_rows(generator.normal(size=(1, 61)))
        last_bits = 1 + 1e-7 * generator.choice([-1, 1], size=(37, 61))
        train = (row * last_bits).astype("float32")
        _, neighbours = cosine.nearest(train, row, 37)
        np.testing.assert_array_equal(neighbours, [np.arange(37)])
        assert (np.diff(train @ row[0]) > 0).any(), "there was nothing to tie"

    def test_of_equal_votes_the_smaller_class_wins(self):
        # 0.1 + 0.2 + 0.3 and 0.3 + 0.3 are equal but for the last bit.
        weights = np.array([[0.3, 0.3, 0.3, 0.2, 0.1]])
        assert 0.1 + 0.2 + 0.3 != 0.6
        for classes in ([0, 0, 1, 1, 1], [1, 1, 0, 0, 0]):
            vote = weighted_vote(np.log(weights), np.array([classes]), 1.0)
            np.testing.assert_array_equal(vote, [0])

    def test_small_train_and_small_temperature(self):
        train, test = blobs(5, seed=1), blobs(40, seed=2)
        expected = plain_knn(*train, *test, 5, 0.07)
        self.assert_close(knn_accuracy(*train, *test, k=20), expected)
        assert 0 <= knn_accuracy(*train, *test, temperature=1e-6) <= 1

    def test_names_in_one_split_alone(self):
        with pytest.raises(ValueError, match="names in train, numbers in test"):
            knn_accuracy(np.eye(2), ["a", "b"], np.eye(2), [0, 1])

    def test_labels_may_be_words(self):
        train, test = blobs(60, seed=1), blobs(40, seed=2)
        names = np.array(["cat", "dog", "eel"])
        assert knn_accuracy(*train, *test) == knn_accuracy(
            train[0], names[train[1]], test[0], names[test[1]]
        )

    def test_errors(self):
        train, test = blobs(20), blobs(10)
        with pytest.raises(ValueError, match="`k` must be an integer"):
            knn_accuracy(*train, *test, k=0)
        with pytest.raises(ValueError, match="temperature"):
            knn_accuracy(*train, *test, temperature=0)
        with pytest.raises(ValueError, match="one label for each of the 20"):
            knn_accuracy(train[0], train[1][:5], *test)
        with pytest.raises(ValueError, match=r"6 \(train\) and 3 \(test\)"):
            knn_accuracy(*train, test[0][:, :3], test[1])
        with pytest.raises(ValueError, match=r"array \(N, D\)"):
            knn_accuracy(train[0][0], train[1], *test)
        with pytest.raises(ValueError, match="at least two classes"):
            knn_accuracy(train[0], np.zeros(20, int), *test)
        broken = test[0].copy()
        broken[3, 2] = np.nan
        with pytest.raises(ValueError, match="NaN or infinite values in 1 of 10"):
            knn_accuracy(*train, broken, test[1])
