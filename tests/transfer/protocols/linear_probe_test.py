import numpy as np
import pytest

from keras_tc2.transfer import linear_probe
from keras_tc2.transfer.features.held_out import held_out_part
from tests.test_case import TestCase
from tests.transfer.blobs import blobs


def logistic_gradient_norm(features, labels, coefficients, intercept, weight):
    """Norm of the gradient of the regularised mean cross-entropy."""
    logits = features @ coefficients + intercept
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    error = (shares - np.eye(shares.shape[1])[labels]) / len(labels)
    return np.linalg.norm(features.T @ error + weight * coefficients)


class LinearProbeTest(TestCase):
    def test_finds_what_is_linear(self):
        train, test = blobs(400, separation=4.0), blobs(200, separation=4.0, seed=1)
        probe = linear_probe(*train, *test)
        # Three unit Gaussians 4·sqrt(2) apart: 0.5 % cross a boundary.
        assert probe["accuracy"] > 0.97
        assert np.mean(probe["predictions"] == test[1]) == probe["accuracy"]

    def test_near_the_best_classifier(self):
        train, test = blobs(2000), blobs(2000, seed=1)
        centres = 1.5 * np.eye(6)[:3]
        distance = ((test[0][:, None] - centres) ** 2).sum(axis=2)
        best = np.mean(distance.argmin(axis=1) == test[1])
        assert linear_probe(*train, *test)["accuracy"] == pytest.approx(best, abs=0.02)

    def test_ignores_units_of_the_features(self):
        train, test = blobs(300), blobs(150, seed=1)
        scale = 10.0 ** np.arange(-3, 3)
        shifted = linear_probe(
            train[0] * scale + 5, train[1], test[0] * scale + 5, test[1]
        )
        plain = linear_probe(*train, *test)
        assert shifted["accuracy"] == pytest.approx(plain["accuracy"], abs=0.01)
        assert shifted["regularization"] == plain["regularization"]

    def test_constant_features_are_harmless(self):
        train, test = blobs(300), blobs(150, seed=1)
        constant = np.full((300, 1), 0.3, "float32")
        more = linear_probe(
            np.hstack([train[0], constant]),
            train[1],
            np.hstack([test[0], constant[:150] + 1e-4]),
            test[1],
        )
        plain = linear_probe(*train, *test)
        assert more["accuracy"] == pytest.approx(plain["accuracy"], abs=0.01)

    def test_test_labels_choose_nothing(self):
        train, test = blobs(120, dim=40, separation=1.0), blobs(150, dim=40, seed=1)
        true = linear_probe(*train, *test)
        shuffled = np.random.default_rng(0).permutation(test[1])
        other = linear_probe(*train, test[0], shuffled)
        np.testing.assert_array_equal(true["predictions"], other["predictions"])
        for key in ("regularization", "validation_accuracy"):
            assert true[key] == other[key]
        assert true["accuracy"] != other["accuracy"]

    def test_regularization_is_the_best_on_the_held_out_part(self):
        from sklearn.linear_model import LogisticRegression

        train, test = blobs(200, dim=60), blobs(20, dim=60, seed=1)
        probe = linear_probe(*train, *test)
        fit, held = held_out_part(train[1], fraction=0.2, seed=0)
        standard = (train[0] - train[0].mean(axis=0)) / train[0].std(axis=0)
        accuracies = {}
        for strength in 10.0 ** np.arange(-4, 3):
            classifier = LogisticRegression(C=strength, max_iter=1000)
            classifier.fit(standard[fit], train[1][fit])
            accuracy = classifier.score(standard[held], train[1][held])
            accuracies[1 / (strength * 200)] = accuracy
        best = max(accuracies, key=accuracies.get)
        assert min(accuracies.values()) < accuracies[best], "nothing to choose"
        assert probe["regularization"] == pytest.approx(best)
        assert probe["validation_accuracy"] == pytest.approx(accuracies[best])

    def test_equally_good_ones_are_told_apart_by_cross_entropy(self):
        """One regularisation leaves of two far classes only their sizes to decide."""
        generator = np.random.default_rng(0)
        labels = np.repeat([0, 1], [32, 33])
        features = generator.normal(size=(65, 4)) + 9 * labels[:, None]
        probe = linear_probe(features, labels, features, labels)
        assert probe["validation_accuracy"] == 1
        assert probe["accuracy"] == 1

    def test_the_fit_is_an_optimum(self):
        from sklearn.linear_model import LogisticRegression

        (train, labels), test = blobs(300), blobs(10, seed=1)
        probe = linear_probe(train, labels, *test)
        standard = (train - train.mean(axis=0)) / train.std(axis=0)
        strength = 1 / (probe["regularization"] * len(train))
        reference = LogisticRegression(C=strength, tol=1e-8, max_iter=1000)
        reference.fit(standard, labels)
        gradient = logistic_gradient_norm(
            standard,
            labels,
            reference.coef_.T,
            reference.intercept_,
            probe["regularization"],
        )
        assert gradient < 1e-4, "`regularization` is not the L2 weight per image"
        moved = (test[0] - train.mean(axis=0)) / train.std(axis=0)
        np.testing.assert_array_equal(reference.predict(moved), probe["predictions"])

    def test_same_seed_same_result(self):
        train, test = blobs(200), blobs(100, seed=1)
        first, second = (linear_probe(*train, *test, seed=3) for _ in range(2))
        for name in ("predictions", "correct"):
            np.testing.assert_array_equal(first.pop(name), second[name])
        assert first.items() <= second.items()

    def test_one_image_a_class_is_an_error(self):
        train, test = blobs(3), blobs(10, seed=1)
        with pytest.raises(ValueError, match="at least two images"):
            linear_probe(*train, *test)


class HeldOutPartTest(TestCase):
    def test_takes_its_share_of_every_class(self):
        labels = np.repeat([0, 1, 2, 3], [50, 10, 2, 1])
        fit, held = held_out_part(labels, fraction=0.2, seed=0)
        np.testing.assert_array_equal(np.sort(np.r_[fit, held]), np.arange(63))
        np.testing.assert_array_equal(np.bincount(labels[held]), [10, 2, 1])
        np.testing.assert_array_equal(np.bincount(labels[fit]), [40, 8, 1, 1])

    def test_the_seed_draws_it(self):
        labels = np.zeros(100)
        same, again, other = (
            held_out_part(labels, fraction=0.2, seed=seed)[1] for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(same, again)
        assert not np.array_equal(same, other)
