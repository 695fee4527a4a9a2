import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_tc2
from keras_tc2.callbacks import CollapseGuard, EmbeddingPlot, TrainingReport
from keras_tc2.callbacks.run_facts import run_facts
from keras_tc2.callbacks.training_report import curves
from tests import tiny
from tests.callbacks.tiny_pretrainer import TinyPretrainer, tiny_views
from tests.reporting.report_pages_test import CHROMIUM, rendered
from tests.test_case import TestCase


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
        assert "Epoch 3 of 3" in text and "<td>embedding_rank</td>" in text
        # A curve for each number, and the features.
        numbers = re.findall(r"<tr><td>(\w+)</td><td class=number>", text)
        assert "loss" in numbers and "feature_rank" in numbers
        assert text.count("data:image/png;base64,") == len(numbers) + 1
        assert "almost the same" in text and "learning_rate" in text
        assert "http" not in text

    def test_page_tells_the_run(self, tmp_path):
        text = self.fit(tmp_path).read_text(encoding="utf-8")
        assert "SGD(learning_rate=0.01" in text
        assert f"TensorFlow {tf.__version__}" in text
        assert f"keras_tc2 {keras_tc2.__version__}" in text
        assert re.search(r"<td>duration</td><td>[\d.]+ s for 3 epochs", text)
        assert "<td>steps an epoch</td><td>2</td>" in text
        assert "<td>tiny_encoder, 148 weights</td>" in text

    def test_facts_of_what_cannot_be_told(self):
        class Loss:
            def __call__(self, embeddings_1, embeddings_2):
                return 0.0

        model = keras_tc2.SSLPretrainer(tiny.encoder(), objective=Loss())
        model.compile("sgd")
        told = {"params": {}, "num_epochs": 1, "seconds": 1.0, "begun": 0}
        facts = dict(run_facts(model, **told))
        assert facts["objective"] == "FunctionObjective()"

    def test_facts_of_a_pretrainer(self):
        encoder = keras_tc2.encoders.create(
            "convnet", input_shape=tiny.IMAGE_SHAPE, widths=(4,)
        )
        model = keras_tc2.TC2Pretrainer(
            encoder, objective=keras_tc2.objectives.NTXent(0.3), **tiny.WHOLE_TC2
        )
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 20)
        model.compile(keras.optimizers.AdamW(schedule), calibrator_optimizer="sgd")
        facts = dict(
            run_facts(model, params={"steps": None}, num_epochs=2, seconds=260, begun=0)
        )
        assert facts["model"].startswith("TC2Pretrainer(")
        assert f"num_tasks={model.num_tasks}" in facts["model"]
        assert facts["encoder"].startswith("convnet, ")
        assert facts["objective"] == "NTXent(temperature=0.3)"
        assert (
            "AdamW(learning_rate=CosineDecay(initial_learning_rate=0.1, decay"
            in (facts["optimizer"])
        )
        assert facts["calibrator optimizer"].startswith("SGD(learning_rate=0.01")
        assert facts["duration"].startswith("4 min 20 s for 2 epochs, 2 min 10 s each")
        assert facts["begun"] == "1970-01-01 00:00 UTC"

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
        drawn = curves(epochs)
        assert [name for name, _ in drawn] == ["loss", "probe_knn_accuracy"]
        first, second = (figure.axes[0] for _, figure in drawn)
        assert second.get_title() == "probe knn accuracy"
        self.assert_close(first.lines[0].get_ydata(), [2, 1])
        self.assert_close(first.lines[1].get_ydata(), [3, 2])
        # What was not measured is no point.
        self.assert_close(second.lines[0].get_xdata(), [1])
        assert second.get_ylabel() == "accuracy, share"
