import itertools

import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2.transfer import choose_ensemble, scores
from tests.test_case import TestCase

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (30, 8, 8, 1), "uint8")
LABELS = np.arange(30) % 3


def classifier(seed, channels=1, widths=(4,)):
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create(
        "convnet", input_shape=(8, 8, channels), widths=widths
    )
    start = keras.initializers.RandomNormal(stddev=3.0, seed=seed)
    head = tc2.layers.ClassificationHead(4, kernel_initializer=start)
    return tc2.Classifier(encoder, head)


def sources():
    return {
        f"number {seed}": (classifier(seed), IMAGES // (1 + seed)) for seed in range(4)
    }


class ChooseEnsembleTest(TestCase):
    def test_each_step_is_the_best_of_all(self):
        given = sources()
        members = {
            name: (
                tc2.transfer.extract_features(model.encoder, images),
                tc2.transfer.extract_features(model.encoder, IMAGES),
                model.classify(IMAGES),
            )
            for name, (model, images) in given.items()
        }
        choice = choose_ensemble(given, IMAGES, LABELS)
        before, chosen = 0.0, []
        for name, gain in zip(choice.chosen, choice.gains, strict=True):
            totals = {
                other: scores.osborn([members[n] for n in (*chosen, other)], LABELS)
                for other in set(given) - set(chosen)
            }
            assert name == min(totals, key=totals.get)
            self.assert_close(gain, before - totals[name], rtol=1e-4, atol=1e-5)
            before, chosen = totals[name], [*chosen, name]
        assert sorted(chosen) == sorted(given)
        self.assert_close(choice.osborn, before, rtol=1e-4)
        assert choice.gains == sorted(choice.gains, reverse=True)
        for pair in itertools.combinations(given, 2):
            expected = scores.osborn([members[name] for name in pair], LABELS)
            self.assert_close(choice.score(pair), expected, rtol=1e-4)

    def test_size_table_folders_and_other_shapes(self, tmp_path):
        given = sources()
        everything = choose_ensemble(given, IMAGES, LABELS)
        two = choose_ensemble(given, IMAGES, LABELS, size=2)
        assert two.chosen == everything.chosen[:2]
        table = str(two).splitlines()
        assert table[0].startswith("| classifier | domain difference |")
        assert table[2].startswith(f"| {two.chosen[0]} |") and len(table) == 4
        name = two.chosen[0]
        given[name][0].save_pretrained(tmp_path / "saved")
        given[name] = str(tmp_path / "saved"), given[name][1]
        given["color"] = classifier(9, channels=3, widths=(6,)), IMAGES
        again = choose_ensemble(given, IMAGES, LABELS)
        assert again.chosen[0] in (name, "color") and len(again.chosen) == 5

    def test_errors(self):
        model = classifier(0)
        with pytest.raises(ValueError, match="Received none"):
            choose_ensemble({}, IMAGES, LABELS)
        with pytest.raises(ValueError, match=r"`classifiers` must be a dict.*list"):
            choose_ensemble([(model, IMAGES)], IMAGES, LABELS)
        with pytest.raises(ValueError, match="'a': Classifier"):
            choose_ensemble({"a": model}, IMAGES, LABELS)
        with pytest.raises(ValueError, match=r"Classifier\(encoder, head\)"):
            choose_ensemble({"a": (model.encoder, IMAGES)}, IMAGES, LABELS)
        with pytest.raises(ValueError, match="size=2"):
            choose_ensemble({"a": (model, IMAGES)}, IMAGES, LABELS, size=2)
        with pytest.raises(ValueError, match="each of the 30 images"):
            choose_ensemble({"a": (model, IMAGES)}, IMAGES, LABELS[1:])
        choice = choose_ensemble({"a": (model, IMAGES)}, IMAGES, LABELS)
        with pytest.raises(ValueError, match="'b'"):
            choice.score(["a", "b"])
