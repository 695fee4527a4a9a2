import numpy as np
import pytest

from keras_tc2.transfer import FewShot, evaluate, few_shot
from keras_tc2.transfer.protocols.few_shot import ridge_scores
from tests.test_case import TestCase
from tests.transfer.blobs import blobs


class RidgeTest(TestCase):
    @pytest.mark.parametrize("number, dim", [(40, 5), (8, 20)])
    def test_both_systems_equal_least_squares(self, number, dim):
        generator = np.random.default_rng(0)
        train, test = generator.normal(size=(number, dim)), np.eye(dim)
        targets = np.eye(3)[np.arange(number) % 3]
        # Ridge with a free intercept as ordinary least squares on extra rows.
        centred = train - train.mean(axis=0)
        weight = 0.3 * np.mean(np.sum(centred**2, axis=1))
        left = np.block(
            [
                [train, np.ones((number, 1))],
                [np.sqrt(weight) * np.eye(dim), np.zeros((dim, 1))],
            ]
        )
        right = np.vstack([targets, np.zeros((dim, 3))])
        solution = np.linalg.lstsq(left, right, rcond=None)[0]
        expected = test @ solution[:-1] + solution[-1]
        self.assert_close(
            ridge_scores(train, targets, test, 0.3), expected, rtol=1e-8, atol=1e-10
        )


class FewShotTest(TestCase):
    def test_more_shots_are_better(self):
        train, test = blobs(300, separation=2.0), blobs(300, separation=2.0, seed=1)
        result = few_shot(*train, *test, shots=(1, 5, 25))
        assert list(result) == [1, 5, 25]
        accuracies = [result[shots]["accuracy"] for shots in result]
        assert accuracies == sorted(accuracies) and accuracies[0] > 0.4
        assert result[25]["spread"] < result[1]["spread"]

    def test_mean_and_spread_are_those_of_the_draws(self):
        train, test = blobs(60), blobs(50, seed=1)
        result = few_shot(*train, *test, shots=2, num_draws=4)[2]
        assert len(result["accuracies"]) == 4
        self.assert_close(result["accuracy"], np.mean(result["accuracies"]))
        self.assert_close(result["spread"], np.std(result["accuracies"], ddof=1))
        self.assert_close(result["per_image"].mean(), result["accuracy"])
        assert few_shot(*train, *test, shots=2, num_draws=1)[2]["spread"] == 0.0

    def test_one_number_of_shots_through_evaluate(self):
        sets = {"a": (blobs(60), blobs(50, seed=1))}
        (row,) = evaluate(None, sets, protocols=FewShot(shots=5)).rows
        train, test = sets["a"]
        assert row["value"] == few_shot(*train, *test, shots=5)[5]["accuracy"]

    def test_uses_only_the_shots(self):
        # With as many shots as images, every draw is all of train.
        features, labels = blobs(30)
        order = np.argsort(labels, kind="stable")
        features, labels = features[order][:], np.repeat([0, 1, 2], 10)
        result = few_shot(features, labels, *blobs(80, seed=1), shots=10, num_draws=3)
        assert result[10]["spread"] == pytest.approx(0, abs=1e-12)
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        test, test_labels = blobs(80, seed=1)
        unit_test = test / np.linalg.norm(test, axis=1, keepdims=True)
        scores = ridge_scores(unit, np.eye(3)[labels], unit_test, 0.3)
        expected = np.mean(scores.argmax(axis=1) == test_labels)
        assert result[10]["accuracy"] == pytest.approx(expected, abs=0.013)

    def test_draws_are_paired_across_encoders(self):
        # The same seed draws the same images whatever the features are.
        train, test = blobs(60), blobs(50, seed=1)
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
        plain = few_shot(*train, *test, shots=(1, 3))
        turned = few_shot(
            train[0] @ turn, train[1], test[0] @ turn, test[1], shots=(1, 3)
        )
        for shots in (1, 3):
            self.assert_close(
                plain[shots]["accuracies"], turned[shots]["accuracies"], atol=0.021
            )
        other = few_shot(*train, *test, shots=(1, 3), seed=5)
        assert other[1]["accuracies"] != plain[1]["accuracies"]

    def test_of_equal_scores_the_smaller_class_wins(self):
        # Each feature stands in both classes, so every score is one half but for bits.
        generator = np.random.default_rng(0)
        rows = generator.normal(size=(3, 17))
        train = np.concatenate([rows, rows]), np.repeat([0, 1], 3)
        test = generator.normal(size=(40, 17)), np.arange(40) % 2
        result = few_shot(*train, *test, shots=3, num_draws=5)
        np.testing.assert_array_equal(result[3]["per_image"], test[1] == 0)

    def test_too_few_images_is_an_error(self):
        with pytest.raises(ValueError, match="25 shots need as many"):
            few_shot(*blobs(30), *blobs(10, seed=1))
        with pytest.raises(ValueError, match="shots"):
            few_shot(*blobs(30), *blobs(10, seed=1), shots=0)
