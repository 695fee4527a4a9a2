"""What an epoch prints: a short choice, while `history` holds everything."""

import keras
import numpy as np
import pytest

from keras_tc2 import SSLPretrainer, callbacks, data, encoders, layers
from keras_tc2.pretraining.core.short_progress import ShortProgress
from tests import tiny
from tests.test_case import TestCase

IMAGES = np.random.default_rng(0).integers(0, 256, (16, *tiny.IMAGE_SHAPE), "uint8")


@pytest.fixture(scope="module")
def model():
    encoder = encoders.create("convnet", input_shape=tiny.IMAGE_SHAPE, widths=(4,))
    model = SSLPretrainer(
        encoder, objective="nt_xent", projector=layers.ProjectionHead(4)
    )
    model.compile("sgd", metrics=[keras.metrics.CosineSimilarity()])
    return model


class ShortProgressTest(TestCase):
    def fit(self, model, capsys, *watchers):
        views = data.two_views(IMAGES, batch_size=8)
        labels = np.arange(16) % 2
        probe = callbacks.OnlineProbe(IMAGES, labels, IMAGES, labels)
        guard = callbacks.CollapseGuard(views, min_std=0.0, min_rank=0.0)
        history = model.fit(
            views,
            validation_data=views,
            callbacks=[guard, probe, *watchers],
            verbose=2,
        ).history
        return history, capsys.readouterr().out

    def test_few_numbers_are_printed_and_all_are_kept(self, model, capsys):
        history, text = self.fit(model, capsys)
        shown = {"loss", "val_loss", "embedding_std", "probe_knn_accuracy"}
        shown |= {"cosine_similarity", "val_cosine_similarity"}
        for name in history:
            assert (f" {name}: " in text) == (name in shown), name
        assert {"embedding_rank", "skipped_updates"} <= set(history)

    def test_keras_shows_all_when_asked(self, model, capsys):
        history, text = self.fit(model, capsys, keras.callbacks.ProgbarLogger())
        for name in history:
            assert f" {name}: " in text, name

    def test_skipped_updates_and_what_was_not_measured(self, capsys):
        bar = ShortProgress()
        bar.set_model(keras.Sequential())
        logs = {"loss": 1.0, "skipped_updates": 2.0, "probe_knn_accuracy": np.nan}
        assert bar._chosen(logs) == {"loss": 1.0, "skipped_updates": 2.0}
