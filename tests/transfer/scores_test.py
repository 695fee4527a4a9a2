import numpy as np
import pytest

from keras_tc2.transfer import scores
from tests.test_case import TestCase
from tests.transfer.blobs import blobs


def log_evidence(features, target, alpha, beta):
    """log N(target | 0, I/β + F Fᵀ/α), from the N × N covariance itself."""
    covariance = np.eye(len(target)) / beta + features @ features.T / alpha
    _, determinant = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (determinant + target @ np.linalg.solve(covariance, target))


class LogMETest(TestCase):
    @pytest.mark.parametrize("number, dim", [(60, 6), (20, 30)])
    def test_is_the_largest_evidence(self, number, dim):
        from scipy.optimize import minimize

        features, labels = blobs(number, dim=dim)
        features = features.astype("float64")
        expected = []
        for value in range(3):
            target = (labels == value).astype("float64")

            def negative(logs, target=target):
                return -log_evidence(features, target, *np.exp(logs))

            starts = [(0.0, 0.0), (2.0, 2.0), (4.0, 3.0)]
            best = min(
                (minimize(negative, s, method="Nelder-Mead", tol=1e-8) for s in starts),
                key=lambda result: result.fun,
            )
            expected.append(-best.fun / number)
        actual = scores.log_me(features, labels, max_iterations=2000)
        self.assert_close(actual, np.mean(expected), rtol=1e-4, atol=1e-4)

    def test_prefers_features_that_tell(self):
        features, labels = blobs(200, separation=4.0)
        noise = np.random.default_rng(0).normal(size=features.shape)
        assert scores.log_me(features, labels) > scores.log_me(noise, labels) + 0.3


class HScoreTest(TestCase):
    def test_is_the_sum_of_squared_canonical_correlations(self):
        features, labels = blobs(120)
        centred = features - features.mean(axis=0)
        one_hot = np.eye(3)[labels] - np.eye(3)[labels].mean(axis=0)
        left, _ = np.linalg.qr(centred.astype("float64"))
        right, values, _ = np.linalg.svd(one_hot, full_matrices=False)
        right = right[:, values > 1e-8]
        expected = np.sum((left.T @ right) ** 2)
        self.assert_close(scores.h_score(features, labels), expected, rtol=1e-5)

    def test_range_and_redundant_features(self):
        features, labels = blobs(120)
        twice = np.hstack([features, 3 * features])
        value = scores.h_score(features, labels)
        assert 0 < value < 2
        self.assert_close(scores.h_score(twice, labels), value, rtol=1e-4)
        perfect = np.eye(3)[labels] + 1e-6 * features[:, :3]
        self.assert_close(scores.h_score(perfect, labels), 2.0, rtol=1e-3)


class LEEPTest(TestCase):
    def test_equals_the_definition(self):
        generator = np.random.default_rng(0)
        probabilities = generator.dirichlet(np.ones(4), size=50)
        labels = generator.integers(3, size=50)
        total = 0.0
        for i in range(50):
            inner = 0.0
            for z in range(4):
                joint = sum(
                    probabilities[j, z] for j in range(50) if labels[j] == labels[i]
                )
                inner += probabilities[i, z] * joint / probabilities[:, z].sum()
            total += np.log(inner)
        self.assert_close(scores.leep(probabilities, labels), total / 50, rtol=1e-5)

    def test_certain_source_is_nce(self):
        generator = np.random.default_rng(0)
        source, labels = generator.integers(4, size=(2, 60))
        leep = scores.leep(np.eye(4)[source], labels)
        self.assert_close(leep, scores.nce(source, labels), rtol=1e-5)

    def test_logits_are_an_error(self):
        with pytest.raises(ValueError, match="Apply a softmax"):
            scores.leep(np.random.default_rng(0).normal(size=(9, 3)), np.arange(9) % 3)


class NCETest(TestCase):
    def test_equals_entropies(self):
        from scipy.stats import entropy

        generator = np.random.default_rng(0)
        source = generator.integers(3, size=90)
        labels = (source + (generator.uniform(size=90) < 0.3)) % 3
        joint = np.array(
            [
                [np.mean((source == z) & (labels == y)) for y in range(3)]
                for z in range(3)
            ]
        )
        expected = -(entropy(joint.ravel()) - entropy(joint.sum(axis=1)))
        self.assert_close(scores.nce(source, labels), expected)
        assert scores.nce(labels, labels) == 0
        with pytest.raises(ValueError, match="of one length"):
            scores.nce(source, labels[:5])


class KNNScoreTest(TestCase):
    def test_equals_leaving_one_out(self):
        features, labels = blobs(40)
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        right = 0
        for i in range(40):
            others = [j for j in range(40) if j != i]
            similarity = {j: float(unit[i] @ unit[j]) for j in others}
            nearest = sorted(others, key=lambda j: -similarity[j])[:7]
            votes = np.zeros(3)
            for j in nearest:
                votes[labels[j]] += np.exp(similarity[j] / 0.1)
            right += votes.argmax() == labels[i]
        score = scores.knn_score(features, labels, k=7, temperature=0.1)
        self.assert_close(score, right / 40)

    def test_never_votes_for_itself(self):
        # Every image has a twin of the other class, and many equal images.
        features = np.repeat(np.eye(4), 2, axis=0)
        labels = np.tile([0, 1], 4)
        assert scores.knn_score(features, labels, k=1) == 0.0
        same = np.ones((30, 3))
        assert 0 <= scores.knn_score(same, np.arange(30) % 2, k=3) <= 1

    def test_errors(self):
        with pytest.raises(ValueError, match="at least two classes"):
            scores.h_score(np.eye(4), np.zeros(4))
        with pytest.raises(ValueError, match="one label for each of the 4"):
            scores.log_me(np.eye(4), np.zeros(3))
