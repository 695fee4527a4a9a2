import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import transfer
from keras_tc2.callbacks import OnlineProbe
from tests.callbacks.tiny_pretrainer import TinyPretrainer, tiny_views
from tests.test_case import TestCase


def labelled(number, *, size=6, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=number)
    images = generator.integers(150, size=(number, size, size, 1))
    images += (labels * 25)[:, None, None, None]
    return images.astype("uint8"), labels


class OnlineProbeTest(TestCase):
    def fit(self, callbacks, *, epochs=2, model=None):
        model = model or TinyPretrainer()
        model.compile(optimizer=keras.optimizers.SGD(0.01))
        return model, model.fit(
            tiny_views(), epochs=epochs, callbacks=callbacks, verbose=0
        )

    def test_reaches_history_csv_and_tensorboard(self, tmp_path):
        probe = OnlineProbe(
            *labelled(60), *labelled(30, seed=1), protocols=("knn", "linear")
        )
        loggers = [
            keras.callbacks.CSVLogger(str(tmp_path / "history.csv")),
            keras.callbacks.TensorBoard(str(tmp_path / "logs")),
        ]
        _, history = self.fit([probe, *loggers])
        values = history.history["probe_knn_accuracy"]
        assert len(values) == 2 and len(history.history["probe_linear_accuracy"]) == 2
        rows = list(csv.DictReader((tmp_path / "history.csv").open()))
        self.assert_close([float(row["probe_knn_accuracy"]) for row in rows], values)
        tags = set()
        for path in (tmp_path / "logs").rglob("events.*"):
            for record in tf.data.TFRecordDataset(str(path)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                tags |= {value.tag for value in event.summary.value}
        assert {"epoch_probe_knn_accuracy", "epoch_probe_linear_accuracy"} <= tags

    def test_is_the_accuracy_of_the_encoder_as_trained(self):
        train, test = labelled(60), labelled(30, seed=1)
        model, history = self.fit([OnlineProbe(*train, *test)], epochs=3)
        features = [
            transfer.extract_features(model.encoder, images)
            for images in (train[0], test[0])
        ]
        expected = transfer.knn_accuracy(features[0], train[1], features[1], test[1])
        assert history.history["probe_knn_accuracy"][-1] == expected

    def test_a_model_without_encoder_is_the_encoder(self):
        train, test = labelled(40), labelled(20, seed=1)
        model = TinyPretrainer().encoder
        model.compile(optimizer="sgd", loss="mse")
        history = model.fit(
            np.zeros((8, 6, 6, 1)),
            np.zeros((8, 4)),
            callbacks=[OnlineProbe(*train, *test)],
            verbose=0,
        )
        assert 0 <= history.history["probe_knn_accuracy"][0] <= 1

    def test_does_not_change_training(self):
        keras.utils.set_random_seed(1)
        plain, _ = self.fit([])
        keras.utils.set_random_seed(1)
        probed, _ = self.fit([OnlineProbe(*labelled(40), *labelled(20, seed=1))])
        for a, b in zip(plain.get_weights(), probed.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_every_epochs(self, tmp_path):
        probe = OnlineProbe(*labelled(40), *labelled(20, seed=1), every_epochs=3)
        logger = keras.callbacks.CSVLogger(str(tmp_path / "history.csv"))
        _, history = self.fit([probe, logger], epochs=5)
        measured = np.isfinite(history.history["probe_knn_accuracy"])
        np.testing.assert_array_equal(measured, [True, False, True, False, True])
        assert len((tmp_path / "history.csv").read_text().splitlines()) == 6

    def test_adapts_images_to_the_encoder(self):
        probe = OnlineProbe(*labelled(40, size=10), *labelled(20, size=10, seed=1))
        _, history = self.fit([probe], epochs=1)
        assert np.isfinite(history.history["probe_knn_accuracy"]).all()

    def test_names(self):
        probe = OnlineProbe(
            *labelled(60),
            *labelled(30, seed=1),
            protocols=[transfer.FewShot(shots=(1, 2)), "knn"],
            prefix="digits",
        )
        _, history = self.fit([probe], epochs=1)
        assert set(history.history) == {
            "loss",
            "digits_few_shot_1_accuracy",
            "digits_few_shot_2_accuracy",
            "digits_knn_accuracy",
        }

    def test_two_protocols_of_one_kind(self):
        train, test = labelled(60), labelled(30, seed=1)
        probe = OnlineProbe(
            *train, *test, protocols=[transfer.KNN(k=1), "linear", transfer.KNN(k=40)]
        )
        model, history = self.fit([probe], epochs=1)
        features = [
            transfer.extract_features(model.encoder, images)
            for images in (train[0], test[0])
        ]
        for name, k in (("probe_knn_accuracy", 1), ("probe_knn_2_accuracy", 40)):
            expected = transfer.knn_accuracy(
                features[0], train[1], features[1], test[1], k=k
            )
            assert history.history[name] == [expected]

    def test_images_of_other_channels_are_refused_before_training(self):
        images, labels = labelled(40)
        probe = OnlineProbe(*[np.repeat(images, 2, axis=-1), labels] * 2)
        model = TinyPretrainer()
        with pytest.raises(ValueError, match="Only 1 and 3 convert"):
            self.fit([probe], model=model)
        assert model.optimizer.iterations == 0

    def test_errors(self):
        images, labels = labelled(10)
        with pytest.raises(ValueError, match="`test_images` must be"):
            OnlineProbe(images, labels, images, labels[:3])
        with pytest.raises(ValueError, match="every_epochs"):
            OnlineProbe(images, labels, images, labels, every_epochs=0)
        with pytest.raises(ValueError, match="protocols"):
            OnlineProbe(images, labels, images, labels, protocols=["nearest"])
