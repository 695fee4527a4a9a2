import inspect
import sys

import numpy as np
import pytest

from keras_tc2 import transfer
from keras_tc2.transfer import retrieval as retrieve
from tests.test_case import TestCase
from tests.transfer.blobs import blobs


class SignatureTest(TestCase):
    def test_options_are_those_of_the_function(self):
        shown = inspect.signature(transfer.KNN).parameters
        of_function = inspect.signature(transfer.knn_accuracy).parameters
        assert list(shown) == ["k", "temperature"]
        assert all(of_function[name] == shown[name] for name in shown)
        assert "seed" not in inspect.signature(transfer.FewShot).parameters

    def test_a_constructor_of_ones_own_has_its_own(self):
        class Own(transfer.KNN):
            def __init__(self, weight):
                super().__init__()

        assert list(inspect.signature(Own).parameters) == ["weight"]


class ClusteringTest(TestCase):
    def test_equals_mutual_information_of_its_groups(self):
        train, test = blobs(150, separation=6.0), blobs(90, separation=6.0, seed=1)
        assert transfer.cluster_nmi(*train, *test) > 0.95
        shuffled = np.random.default_rng(0).permutation(test[1])
        assert transfer.cluster_nmi(*train, test[0], shuffled) < 0.1

    def test_train_labels_are_not_used(self):
        train, test = blobs(150), blobs(90, seed=1)
        shuffled = np.random.default_rng(0).permutation(train[1])
        assert transfer.cluster_nmi(*train, *test) == transfer.cluster_nmi(
            train[0], shuffled, *test
        )

    def test_normalisation(self):
        # Two tight groups, each half of either class: no information.
        features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0)
        labels = np.tile([0, 1], 10)
        assert transfer.cluster_nmi(features, labels, features, labels) < 1e-9
        grouped = np.repeat([0, 1], 10)
        nmi = transfer.cluster_nmi(features, grouped, features, grouped)
        assert nmi == pytest.approx(1.0)

    def test_errors(self):
        train, test = blobs(10), blobs(10, seed=1)
        with pytest.raises(ValueError, match="40 clusters need"):
            transfer.cluster_nmi(*train, *test, num_clusters=40)


class RetrievalTest(TestCase):
    def test_equals_the_definition(self):
        train, test = blobs(60), blobs(25, seed=1)
        found = retrieve(*train, *test, recall_at=(1, 3))
        precisions, recalls = [], {1: [], 3: []}
        for row, label in zip(*test, strict=True):
            similarity = [
                row @ other / np.linalg.norm(row) / np.linalg.norm(other)
                for other in train[0]
            ]
            ranked = train[1][np.argsort(similarity)[::-1]] == label
            hits = np.flatnonzero(ranked)
            precisions.append(
                np.mean([(i + 1) / (rank + 1) for i, rank in enumerate(hits)])
            )
            for k, values in recalls.items():
                values.append(ranked[:k].any())
        self.assert_close(found["map"], np.mean(precisions), rtol=1e-5)
        for k, values in recalls.items():
            self.assert_close(found["recall"][k], np.mean(values))
            np.testing.assert_array_equal(found["per_image"][k], values)

    def test_of_equally_near_images_the_earlier_ranks_first(self):
        generator = np.random.default_rng(0)
        row = generator.normal(size=(1, 61))
        last_bits = 1 + 1e-7 * generator.choice([-1, 1], size=(20, 61))
        labels = np.repeat([0, 1], 10)
        found = retrieve(row * last_bits, labels, row.repeat(2, 0), [0, 1])
        late = np.mean([(i + 1) / (10 + i + 1) for i in range(10)])
        self.assert_close(found["per_image"]["map"], [1.0, late])

    def test_chunks_do_not_change_it(self, monkeypatch):
        train, test = blobs(60), blobs(25, seed=1)
        whole = retrieve(*train, *test)
        # The function of the same name hides the module as an attribute.
        module = sys.modules["keras_tc2.transfer.protocols.retrieval"]
        monkeypatch.setattr(module, "QUERY_CHUNK", 4)
        self.assert_close(retrieve(*train, *test)["map"], whole["map"])

    def test_missing_class_counts_zero(self):
        found = retrieve(np.eye(2), [0, 1], np.eye(2), [0, 7], recall_at=(1,))
        assert found["recall"][1] == 0.5 and found["map"] == 0.5


class OutOfDistributionTest(TestCase):
    def domains(self, shift=0.0):
        result = {}
        for index, name in enumerate(("photo", "sketch", "paint")):
            train = blobs(90, separation=4.0, seed=2 * index)
            test = blobs(60, separation=4.0, seed=2 * index + 1)
            offset = shift * (name == "paint") * np.eye(6)[0]
            result[name] = (train[0] + offset, train[1]), (test[0] + offset, test[1])
        return result

    def test_is_a_probe_on_the_others(self):
        domains = self.domains(shift=5.0)
        arrays = {name: (*train, *test) for name, (train, test) in domains.items()}
        results = transfer.leave_one_domain_out(arrays)
        others = [domains[name][0] for name in ("photo", "sketch")]
        features = np.concatenate([x for x, _ in others])
        labels = np.concatenate([y for _, y in others])
        expected = transfer.linear_probe(features, labels, *domains["paint"][1])
        assert results["paint"]["accuracy"] == expected["accuracy"]

    def test_the_shifted_domain_is_the_hard_one(self):
        report = transfer.evaluate(
            None,
            {"art": self.domains(shift=5.0)},
            protocols=("out_of_distribution", "knn"),
        )
        scores = {row["protocol"]: row["value"] for row in report.rows}
        parts = [scores[f"out_of_distribution_{n}"] for n in self.domains()]
        assert parts[2] < min(parts[:2]) - 0.1
        self.assert_close(scores["out_of_distribution"], np.mean(parts))
        assert len(report.rows[-1]["per_image"]) == 180

    def test_errors(self):
        train, test = blobs(30), blobs(20, seed=1)
        with pytest.raises(ValueError, match="has no domains"):
            transfer.evaluate(
                None, {"one": (train, test)}, protocols=["out_of_distribution"]
            )
        with pytest.raises(ValueError, match="at least two domains"):
            transfer.leave_one_domain_out({"one": (*train, *test)})
