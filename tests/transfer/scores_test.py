import itertools

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
    def test_features_of_zero_say_nothing(self):
        labels = np.arange(12) % 3
        # The likelihood of the best normal distribution around zero.
        expected = (np.log(3 / (2 * np.pi)) - 1) / 2
        self.assert_close(scores.log_me(np.zeros((12, 4)), labels), expected)
        useful = np.eye(4)[labels]
        assert scores.log_me(useful, labels) > expected

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


def one_step(features, labels, radius, time_step):
    """A step of PED in standardized features, class by class and pair by pair."""
    classes = np.unique(labels)
    shifts = {value: np.zeros(features.shape[1]) for value in classes}
    for a in classes:
        for b in classes:
            if a == b:
                continue
            first, second = features[labels == a], features[labels == b]
            line = first.mean(axis=0) - second.mean(axis=0)
            distance = np.sqrt(np.sum(line**2))
            radii = [np.sqrt(np.sum(np.var(x, axis=0))) for x in (first, second)]
            force = max(radius * sum(radii) - distance, 0)
            shifts[a] += line / distance * min(0.5 * time_step**2 * force, force)
    return shifts


class PEDTest(TestCase):
    @pytest.mark.parametrize("time_step, num_steps", [(0.5, 3), (2.0, 1)])
    def test_moves_as_written_out(self, time_step, num_steps):
        features, labels = blobs(60)
        reference = np.random.default_rng(1).normal(1.0, 2.0, size=(40, 6))
        center, scale = reference.mean(axis=0), reference.std(axis=0)
        expected = (features - center) / scale
        for _ in range(num_steps):
            shifts = one_step(expected, labels, 0.7, time_step)
            expected = expected + np.stack([shifts[value] for value in labels])
        moved = scores.potential_energy_decline(
            features,
            labels,
            reference_features=reference,
            radius=0.7,
            time_step=time_step,
            max_steps=num_steps,
            exit_ratio=0.0,
        )
        assert np.abs(moved - features).max() > 0.01
        self.assert_close(moved, expected * scale + center, rtol=1e-5, atol=1e-5)

    def test_ends_before_a_step_that_moves_too_little(self):
        features, labels = blobs(60)
        changes, current = [], (features - features.mean(axis=0)) / features.std(axis=0)
        for _ in range(12):
            shifts = one_step(current, labels, 0.6, 0.3)
            changes.append(sum(np.abs(shift).sum() for shift in shifts.values()))
            current = current + np.stack([shifts[value] for value in labels])
        expected = sum(np.cumprod(np.array(changes) > 0.7 * changes[0]))
        assert 1 < expected < 12

        def moved(**arguments):
            return scores.potential_energy_decline(
                features, labels, time_step=0.3, **arguments
            )

        ended = moved(max_steps=12, exit_ratio=0.7)
        self.assert_close(ended, moved(max_steps=int(expected), exit_ratio=0.0))
        more = moved(max_steps=int(expected) + 1, exit_ratio=0.0)
        assert np.abs(ended - more).max() > 1e-3

    def test_what_does_not_overlap_stays(self):
        features, labels = blobs(60, separation=40.0)
        moved = scores.potential_energy_decline(features, labels)
        self.assert_close(moved, features, rtol=1e-5, atol=1e-5)
        expected = scores.log_me(features, labels)
        self.assert_close(scores.ped(features, labels), expected, rtol=1e-5)
        still = scores.potential_energy_decline(*blobs(60), max_steps=0)
        self.assert_close(still, blobs(60)[0], rtol=1e-5, atol=1e-5)

    def test_raises_the_score_of_what_overlaps_and_takes_any(self):
        features, labels = blobs(120)
        options = {"time_step": 0.8, "exit_ratio": 0.0}
        assert scores.ped(features, labels, **options) > 0.01 + scores.log_me(
            features, labels
        )
        moved = scores.potential_energy_decline(features, labels, **options)
        assert scores.ped(
            features, labels, score=scores.h_score, **options
        ) == scores.h_score(moved, labels)

    def test_motion_is_that_of_shifted_and_scaled_features(self):
        features, labels = blobs(60)
        factors, shift = np.array([0.5, 1, 2, 3, 4, 10]), np.arange(6)
        moved = scores.potential_energy_decline(features, labels, time_step=0.5)
        other = scores.potential_energy_decline(
            features * factors + shift, labels, time_step=0.5
        )
        self.assert_close(other, moved * factors + shift, rtol=1e-4, atol=1e-4)
        turned = scores.potential_energy_decline(
            features[::-1], np.array(["c", "a", "b"])[labels][::-1], time_step=0.5
        )
        self.assert_close(turned[::-1], moved, rtol=1e-5, atol=1e-5)

    def test_classes_with_one_mean_stay(self):
        features = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        moved = scores.potential_energy_decline(features, [0, 0, 1, 1])
        self.assert_close(moved, features)

    def test_errors(self):
        features, labels = blobs(20)
        with pytest.raises(ValueError, match="with 6 columns"):
            scores.ped(features, labels, reference_features=features[:, :5])
        for name in ("radius", "time_step"):
            with pytest.raises(ValueError, match=name):
                scores.ped(features, labels, **{name: 0})
        with pytest.raises(ValueError, match="exit_ratio"):
            scores.ped(features, labels, exit_ratio=-1)
        with pytest.raises(ValueError, match="at least two classes"):
            scores.ped(features, np.zeros(20))


def entropy_given(first, second):
    """H(first | second), value by value."""
    total = 0.0
    for b in np.unique(second):
        share = np.mean(second == b)
        for a in np.unique(first):
            joint = np.mean((first == a) & (second == b))
            total -= joint * np.log(joint / share) if joint else 0.0
    return total


def osborn_members(number, images=40):
    generator = np.random.default_rng(5)
    for i in range(number):
        source = generator.normal(size=(images, 3))
        target = generator.normal(i / 2, 1, size=(images, 3))
        yield source, target, generator.integers(2 + i % 3, size=images)


class OSBORNTest(TestCase):
    def test_domain_difference_is_the_least_of_all_matchings(self):
        generator = np.random.default_rng(0)
        source, target = generator.normal(size=(2, 6, 3))
        squares = min(
            np.mean(np.sum((source - target[list(order)]) ** 2, axis=1))
            for order in itertools.permutations(range(6))
        )
        spread = np.mean(np.sum((source - source.mean(axis=0)) ** 2, axis=1))
        found = scores.domain_difference(source, target)
        self.assert_close(found, np.sqrt(squares / spread), rtol=1e-5)
        # Neither order, nor scale, nor a turn matters.
        turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        other = scores.domain_difference(7 * source[::-1] @ turn, 7 * target @ turn)
        self.assert_close(other, found, rtol=1e-5)

    def test_domain_difference_on_a_line_matches_sorted_values(self):
        generator = np.random.default_rng(1)
        source, target = generator.normal(size=(2, 50, 1))
        sorted_squares = np.mean((np.sort(source, 0) - np.sort(target, 0)) ** 2)
        found = scores.domain_difference(source, target)
        self.assert_close(found, np.sqrt(sorted_squares) / source.std(), rtol=1e-5)
        assert scores.domain_difference(source, source[::-1]) == 0.0
        # Moved by its own spread, a cloud is 1 away.
        moved = scores.domain_difference(source, source + source.std())
        self.assert_close(moved, 1.0, rtol=1e-5)

    def test_domain_difference_of_some_images(self):
        generator = np.random.default_rng(1)
        source, target = generator.normal(size=(400, 2)), generator.normal(size=(90, 2))
        few = scores.domain_difference(source, target, max_images=50, seed=1)
        assert few != scores.domain_difference(source, target, max_images=50, seed=2)
        assert 0 < scores.domain_difference(source, target) < few < 1

    def test_is_the_sum_over_members_and_pairs(self):
        members, labels = list(osborn_members(3)), np.arange(40) % 4
        expected = 0.0
        for source, target, predictions in members:
            expected += scores.domain_difference(source, target)
            expected += entropy_given(predictions, labels)
        for (*_, first), (*_, second) in itertools.combinations(members, 2):
            expected += entropy_given(first, second) + entropy_given(second, first)
        self.assert_close(scores.osborn(members, labels), expected)
        self.assert_close(scores.osborn(members[::-1], labels), expected)

    def test_its_negative_is_submodular(self):
        members, labels = list(osborn_members(5)), np.arange(40) % 4

        def gain(chosen, new):
            before = scores.osborn([members[i] for i in chosen], labels)
            return before - scores.osborn([members[i] for i in (*chosen, new)], labels)

        for large in itertools.combinations(range(5), 3):
            for small in itertools.combinations(large, 2):
                for new in set(range(5)) - set(large):
                    assert gain(small, new) >= gain(large, new) - 1e-9

    def test_terms(self):
        labels = np.arange(40) % 4
        source = np.random.default_rng(0).normal(size=(40, 3))
        same = source, source, labels + 10
        terms = scores.osborn_terms([same, same], labels)
        for value in terms.values():
            self.assert_close(value, np.zeros_like(value))
        constant = source, source, np.zeros(40)
        assert scores.osborn([constant], labels) == 0.0

    def test_errors(self):
        ((source, target, predictions),) = osborn_members(1)
        labels = np.arange(40) % 4
        with pytest.raises(ValueError, match="at least one classifier"):
            scores.osborn([], labels)
        with pytest.raises(ValueError, match="of one encoder"):
            scores.osborn([(source[:, :2], target, predictions)], labels)
        with pytest.raises(ValueError, match="39 predictions for 40"):
            scores.osborn([(source, target, predictions[1:])], labels)
        with pytest.raises(ValueError, match="of one length"):
            scores.osborn([(source, target, predictions)], labels[1:])
        with pytest.raises(ValueError, match="collapsed"):
            scores.osborn([(np.ones((4, 3)), target, predictions)], labels)
