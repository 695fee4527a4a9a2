import keras
import numpy as np
import pytest

from keras_tc2 import transfer
from keras_tc2.transfer.features.feature_cache import encoder_hash
from tests.test_case import TestCase
from tests.transfer.evaluate_test import bright_and_dark


def encoder(seed=0):
    initializer = keras.initializers.GlorotUniform(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, kernel_initializer=initializer),
        ]
    )


class FeatureCacheTest(TestCase):
    def evaluate(self, model, folder, train=None):
        train = train or bright_and_dark(40)
        data = {"halves": (train, bright_and_dark(20, seed=1))}
        report = transfer.evaluate(model, data, protocols=["knn"], cache_dir=folder)
        return report.accuracy("halves", "knn")

    def test_same_content_is_found_again(self, tmp_path):
        first = self.evaluate(encoder(), tmp_path)
        files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert len(files) == 2 and all(path.suffix == ".npz" for path in files)
        assert self.evaluate(encoder(), tmp_path) == first
        assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        # It is the file that is read.
        for path in files:
            with np.load(path) as entry:
                labels = entry["labels"]
            np.savez(path, features=np.eye(2)[labels], labels=labels)
        assert self.evaluate(encoder(), tmp_path) == 1.0

    def test_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        self.evaluate(encoder(), "~/features")
        assert len(list((tmp_path / "features").iterdir())) == 2

    def test_other_weights_images_or_labels_are_other_entries(self, tmp_path):
        self.evaluate(encoder(), tmp_path)
        self.evaluate(encoder(seed=1), tmp_path)
        assert len(list(tmp_path.iterdir())) == 4
        images, labels = bright_and_dark(40)
        images[3, 2, 1] += 1
        self.evaluate(encoder(), tmp_path, (images, labels))
        assert len(list(tmp_path.iterdir())) == 5
        images[3, 2, 1] -= 1
        self.evaluate(encoder(), tmp_path, (images, np.roll(labels, 1)))
        assert len(list(tmp_path.iterdir())) == 6

    def test_weights_that_changed_are_another_entry(self, tmp_path):
        model = encoder()
        self.evaluate(model, tmp_path)
        model.set_weights([w + 1 for w in model.get_weights()])
        self.evaluate(model, tmp_path)
        assert len(list(tmp_path.iterdir())) == 4

    def test_a_model_without_config_is_an_error(self, tmp_path):
        class Bare(keras.Model):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def call(self, images):
                return self.inner(images)

        with pytest.raises(ValueError, match="leave `cache_dir` out"):
            self.evaluate(Bare(encoder()), tmp_path)

    def test_hash_sees_the_architecture(self):
        relu = encoder()
        relu.layers[-1].activation = keras.activations.relu
        assert encoder_hash(relu) != encoder_hash(encoder())
        assert encoder_hash(encoder()) == encoder_hash(encoder())
