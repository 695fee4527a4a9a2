import keras
import numpy as np
import pytest

from keras_tc2.callbacks import CollapseGuard, EmbeddingPlot, TrainingReport
from keras_tc2.callbacks.training_report import curves
from tests.callbacks.tiny_pretrainer import TinyPretrainer, tiny_views
from tests.test_case import TestCase
from tests.transfer.report_pages_test import CHROMIUM, rendered


class TrainingReportTest(TestCase):
    def fit(self, folder, *, epochs=3, **options):
        images = np.random.default_rng(0).integers(
            256, size=(30, 6, 6, 1), dtype="uint8"
        )
        plot = EmbeddingPlot(images.astype("uint8"), np.arange(30) % 3, every_epochs=2)
        guard = CollapseGuard(tiny_views(), min_std=1.0)
        report = TrainingReport(
            folder / "training_report.html",
            pictures_of=[plot, guard],
            settings={"learning_rate": 0.01},
            **options,
        )
        model = TinyPretrainer()
        model.compile(optimizer=keras.optimizers.SGD(0.01))
        with pytest.warns(UserWarning, match="almost the same"):
            model.fit(
                tiny_views(),
                epochs=epochs,
                callbacks=[plot, guard, report],
                shuffle=False,
                verbose=0,
            )
        return folder / "training_report.html"

    def test_page_holds_numbers_pictures_and_warnings(self, tmp_path):
        text = self.fit(tmp_path).read_text(encoding="utf-8")
        assert "epoch 3 of 3" in text and "<td>embedding_rank</td>" in text
        assert text.count("data:image/png;base64,") == 2
        assert "almost the same" in text and "learning_rate" in text
        assert "http" not in text

    @pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
    def test_chromium_shows_it(self, tmp_path):
        text, picture = rendered(self.fit(tmp_path, title="Run 7"), tmp_path)
        assert "<h1>Run 7</h1>" in text and picture.stat().st_size > 20_000

    def test_every_epochs(self, tmp_path, monkeypatch):
        written = []
        monkeypatch.setattr(
            TrainingReport, "_page", lambda self: written.append(1) or "page"
        )
        report = TrainingReport(tmp_path / "r.html", every_epochs=4)
        model = TinyPretrainer()
        model.stop_training = False
        report.set_model(model)
        report.set_params({"epochs": 10})
        report.on_train_begin()
        for epoch in range(10):
            report.on_epoch_end(epoch, {"loss": 1.0})
        # Epochs 1, 4, 8 and 10.
        assert len(written) == 4

    def test_curves(self):
        epochs = [
            (1, {"loss": 2.0, "val_loss": 3.0, "probe_knn_accuracy": 0.5}),
            (2, {"loss": 1.0, "val_loss": 2.0, "probe_knn_accuracy": np.nan}),
        ]
        figure = curves(epochs)
        panels = [panel for panel in figure.axes if panel.get_visible()]
        assert [panel.get_title() for panel in panels] == ["loss", "probe knn accuracy"]
        first, second = panels
        self.assert_close(first.lines[0].get_ydata(), [2, 1])
        self.assert_close(first.lines[1].get_ydata(), [3, 2])
        # What was not measured is no point.
        self.assert_close(second.lines[0].get_xdata(), [1])
        assert second.get_ylabel() == "accuracy, share"
