import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.callbacks import EmbeddingPlot
from keras_tc2.callbacks.embedding_plot import PROJECTIONS
from tests.callbacks.tiny_pretrainer import TinyPretrainer, tiny_views
from tests.test_case import TestCase


def pictures(number=24):
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(number, 6, 6, 1), dtype="uint8")
    return images, np.arange(number) % 3


class EmbeddingPlotTest(TestCase):
    def fit(self, callback, epochs=1):
        model = TinyPretrainer()
        model.compile(optimizer=keras.optimizers.SGD(0.01))
        model.fit(
            tiny_views(), epochs=epochs, callbacks=[callback], shuffle=False, verbose=0
        )

    def test_files_and_tensorboard(self, tmp_path):
        plot = EmbeddingPlot(
            *pictures(),
            folder=tmp_path / "plots",
            log_dir=tmp_path / "logs",
            every_epochs=2,
        )
        self.fit(plot, epochs=3)
        names = sorted(path.name for path in (tmp_path / "plots").iterdir())
        assert names == ["features_0001.png", "features_0002.png", "features_0003.png"]
        tags = set()
        for path in (tmp_path / "logs").rglob("events.*"):
            for record in tf.data.TFRecordDataset(str(path)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                tags |= {value.tag for value in event.summary.value}
        assert "features" in tags

    def test_picture_has_what_a_reader_needs(self):
        plot = EmbeddingPlot(*pictures())
        self.fit(plot)
        figure, caption = plot.pictures[0]
        panel = figure.axes[0]
        assert "24 images after epoch 1" in panel.get_title()
        assert "principal component 1" in panel.get_xlabel()
        assert "% of variance" in panel.get_ylabel()
        assert len(figure.legends[0].get_texts()) == 3 and "PCA" in caption

    def test_pca(self):
        generator = np.random.default_rng(0)
        features = generator.normal(size=(40, 5)) * [3, 2, 0.1, 0.1, 0.1]
        points, names = PROJECTIONS["pca"](features, 0)
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        centred = unit - unit.mean(axis=0)
        values, vectors = np.linalg.eigh(centred.T @ centred)
        for index in (0, 1):
            expected = centred @ vectors[:, -1 - index]
            self.assert_close(np.abs(points[:, index]), np.abs(expected), atol=1e-5)
        share = 100 * values[-1] / values.sum()
        assert f"({share:.0f} % of variance)" in names[0]

    def test_tsne_is_seeded(self):
        features = np.random.default_rng(0).normal(size=(20, 4))
        first, second = (PROJECTIONS["tsne"](features, 3)[0] for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert first.shape == (20, 2)

    def test_many_images_are_thinned(self):
        images = np.zeros((5000, 2, 2, 1), "uint8")
        plot = EmbeddingPlot(images, np.arange(5000))
        assert len(plot.images) == 2000 and len(set(plot.labels)) == 2000

    def test_errors(self):
        images, labels = pictures()
        with pytest.raises(ValueError, match="'pca', 'tsne'"):
            EmbeddingPlot(images, labels, method="umap")
        with pytest.raises(ValueError, match="must be"):
            EmbeddingPlot(images, labels[:4])
