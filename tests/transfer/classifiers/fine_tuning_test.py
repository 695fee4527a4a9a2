import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data, transfer
from keras_tc2.transfer.classifiers.frozen_layers import freeze_first_layers
from keras_tc2.transfer.features.held_out import held_out_part
from tests.test_case import TestCase
from tests.transfer.evaluate_test import bright_and_dark


def encoder():
    initializer = keras.initializers.GlorotUniform(seed=0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, kernel_initializer=initializer),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.ReLU(),
            keras.layers.Conv2D(4, 3, kernel_initializer=initializer, name="second"),
            keras.layers.Flatten(),
        ]
    )


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    module = sys.modules["keras_tc2.transfer.classifiers.fine_tuning"]
    monkeypatch.setattr(module, "MIN_STEPS", 1)


class FineTuneTest(TestCase):
    def tune(self, model, *, train=None, test=None, **options):
        options = {"epochs": 1, "batch_size": 60, "learning_rate": 0.01, **options}
        return transfer.fine_tune(
            model,
            train or bright_and_dark(60),
            test or bright_and_dark(30, seed=1),
            **options,
        )

    def test_learns_and_leaves_the_encoder_alone(self):
        model = encoder()
        before = model.get_weights()
        # Labels may be any numbers.
        (images, labels), (more, others) = bright_and_dark(60), bright_and_dark(30)
        result = self.tune(
            model,
            train=(images, 7 * labels + 3),
            test=(more, 7 * others + 3),
            epochs=8,
            batch_size=16,
        )
        assert result["accuracy"] > 0.9 and set(result["predictions"]) == {3, 10}
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert all(layer.trainable for layer in model.layers)
        tuned = result["model"].encoder.get_weights()
        assert not np.array_equal(before[0], tuned[0])
        history = result["history"]
        assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(history)
        assert history["loss"][-1] < history["loss"][0]

    def test_factor_zero_trains_the_head_alone(self):
        model = encoder()
        result = self.tune(model, encoder_learning_rate_factor=0)
        tuned = result["model"].encoder.get_weights()
        for a, b in zip(model.get_weights(), tuned, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_factor_scales_the_encoder_alone(self):
        # The first step of Adam moves every weight by its learning rate.
        model = encoder()
        result = self.tune(model, encoder_learning_rate_factor=0.1)
        start = np.asarray(model.get_layer("second").kernel)
        end = np.asarray(result["model"].encoder.get_layer("second").kernel)
        moved = np.median(np.abs(start - end))
        assert moved == pytest.approx(0.001, rel=0.02)

    def test_frozen_layers_stay(self):
        model = encoder()
        result = self.tune(model, num_frozen_layers=2)
        before, after = model.get_weights(), result["model"].encoder.get_weights()
        # Convolution (2 arrays) and batch normalisation (4), moving statistics too.
        for a, b in zip(before[:6], after[:6], strict=True):
            np.testing.assert_array_equal(a, b)
        assert not np.array_equal(before[6], after[6])
        with pytest.raises(ValueError, match="the encoder has 3 layers"):
            freeze_first_layers(encoder(), 4)

    def test_test_labels_decide_nothing(self):
        model, (images, labels) = encoder(), bright_and_dark(30, seed=1)
        results = [
            self.tune(model, test=(images, given)) for given in (labels, 1 - labels)
        ]
        np.testing.assert_array_equal(
            results[0]["predictions"], results[1]["predictions"]
        )
        self.assert_close(results[0]["accuracy"], 1 - results[1]["accuracy"])

    def test_early_stopping(self):
        result = self.tune(encoder(), epochs=30, patience=0, learning_rate=1.0)
        assert result["num_epochs"] < 30

    def test_keeps_the_best_epoch_not_the_last(self):
        # What cannot be learnt is learnt by heart: held-out images pay for it.
        images, _ = bright_and_dark(60)
        labels = np.random.default_rng(0).permutation(np.arange(60) % 2)
        options = {"epochs": 6, "patience": 9, "learning_rate": 0.1}
        result = self.tune(
            encoder(), train=(images, labels), validation_fraction=0.5, **options
        )
        losses = result["history"]["val_loss"]
        assert losses[-1] > 1.1 * min(losses)
        _, held = held_out_part(labels, fraction=0.5, seed=0)
        loss, _ = result["model"].evaluate(images[held], labels[held], verbose=0)
        assert loss == pytest.approx(min(losses), rel=1e-4)

    def test_the_model_can_be_kept(self, tmp_path):
        images, labels = bright_and_dark(60)
        model = self.tune(encoder(), train=(images, labels + 4))["model"]
        model.save(tmp_path / "tuned.keras")
        again = keras.saving.load_model(tmp_path / "tuned.keras")
        np.testing.assert_array_equal(again.classify(images), model.classify(images))
        assert set(again.classes) == {4, 5}

    def test_the_model_knows_the_names_of_the_classes(self):
        images, labels = bright_and_dark(60)
        names = np.array(["bright", "dark"])[labels]
        train = data.load(images, labels=names, class_names=["none", "bright", "dark"])
        result = self.tune(encoder(), train=train, epochs=1)
        assert result["model"].classes == ["bright", "dark"]
        assert set(result["classes"]) == {1, 2}

    @pytest.mark.parametrize("number, steps", [(8, 20), (40, 21), (400, 23)])
    def test_an_epoch_has_twenty_steps(self, number, steps, monkeypatch):
        monkeypatch.undo()  # The length that users get.
        result = self.tune(encoder(), train=bright_and_dark(number), batch_size=16)
        # 6, 36 and 360 images are fitted, in one batch, three and 23.
        assert int(result["model"].optimizer.iterations) == steps

    def test_labels_of_a_shuffled_dataset_stay_with_their_images(self):
        train, test = (
            tf.data.Dataset.from_tensor_slices(bright_and_dark(60, seed=seed))
            for seed in (0, 1)
        )
        result = self.tune(
            encoder(),
            train=train.shuffle(60, seed=0),
            test=test.shuffle(60, seed=0),
            epochs=8,
            batch_size=16,
        )
        assert result["accuracy"] > 0.9
        assert np.mean(result["correct"]) == result["accuracy"]

    def test_labels_may_be_a_column_or_names(self):
        (images, labels), (more, others) = bright_and_dark(60), bright_and_dark(20)
        expected = self.tune(encoder(), test=(more, others))
        column = self.tune(
            encoder(), train=(images, labels[:, None]), test=(more, others[:, None])
        )
        names = np.array(["bright", "dark"])
        named = self.tune(
            encoder(), train=(images, names[labels]), test=(more, names[others])
        )
        for found in (column, named):
            assert found["history"] == expected["history"]
            np.testing.assert_array_equal(found["correct"], expected["correct"])
        assert named["model"].classes == ["bright", "dark"]
        assert set(named["predictions"]) <= {"bright", "dark"}
        rows = np.eye(2)[labels]
        with pytest.raises(ValueError, match=r"`train_labels`.*\(60, 2\).*argmax"):
            self.tune(encoder(), train=(images, rows))
        with pytest.raises(ValueError, match=r"`test_labels`.*\(20, 2\)"):
            self.tune(encoder(), test=(more, np.eye(2)[others]))

    def test_test_is_numbered_by_the_names_of_train(self):
        names = np.array(["bright", "dark"])
        train, test = (
            data.load(images, labels=names[labels], class_names=order)
            for (images, labels), order in (
                (bright_and_dark(60), ["dark", "bright"]),
                (bright_and_dark(30, seed=1), ["bright", "none", "dark"]),
            )
        )
        options = {"epochs": 8, "batch_size": 16}
        result = self.tune(encoder(), train=train, test=test, **options)
        assert result["accuracy"] > 0.9
        np.testing.assert_array_equal(result["classes"], [0, 1])
        assert result["model"].classes == ["dark", "bright"]
        images, labels = bright_and_dark(20)
        with pytest.raises(ValueError, match="numbers in train, names in test"):
            self.tune(encoder(), test=(images, names[labels]))

    def test_errors(self):
        with pytest.raises(ValueError, match="epochs"):
            self.tune(encoder(), epochs=0)
        with pytest.raises(ValueError, match="encoder_learning_rate_factor"):
            self.tune(encoder(), encoder_learning_rate_factor=-1)

        class Bare(keras.Model):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def call(self, images):
                return self.inner(images)

        with pytest.raises(ValueError, match="cannot be copied"):
            self.tune(Bare(encoder()))


class SemiSupervisedTest(TestCase):
    def test_a_shuffled_dataset(self):
        train, test = (
            tf.data.Dataset.from_tensor_slices(bright_and_dark(number, seed=number))
            for number in (80, 40)
        )
        options = {"epochs": 8, "batch_size": 16, "learning_rate": 0.01}
        report = transfer.evaluate(
            encoder(),
            {"halves": (train.shuffle(80, seed=0), test.shuffle(40, seed=0))},
            protocols=[
                transfer.SemiSupervised(shares=(0.5,), fine_tuning=options),
                transfer.FineTuning(**{**options, "epochs": 3}),
            ],
        )
        half, full = report.rows
        assert half["value"] > 0.9
        for row in (half, full):
            assert row["per_image"].mean() == pytest.approx(row["value"])

    def test_the_model_knows_the_names_of_the_classes(self):
        images, labels = bright_and_dark(20)
        train = data.load(images, labels=labels, class_names=["bright", "dark"])
        results = transfer.semi_supervised(
            encoder(), train, (images, labels), shares=(0.5,), fine_tuning={"epochs": 1}
        )
        assert results[0.5]["model"].classes == ["bright", "dark"]

    def test_uses_its_share_of_each_class(self):
        report = transfer.evaluate(
            encoder(),
            {"halves": (bright_and_dark(200), bright_and_dark(30, seed=1))},
            protocols=[
                transfer.SemiSupervised(shares=(0.01, 0.1), fine_tuning={"epochs": 1}),
            ],
        )
        rows = {row["protocol"]: row for row in report.rows}
        # At least two of each class: one to fit on, one to stop on.
        assert rows["semi_supervised_1%"]["details"]["num_images"] == 4
        assert rows["semi_supervised_10%"]["details"]["num_images"] == 20
        for row in rows.values():
            assert row["per_image"].mean() == pytest.approx(row["value"])

    def test_errors(self):
        data = bright_and_dark(20)
        for share in (0, 1.5):
            with pytest.raises(ValueError, match="shares"):
                transfer.semi_supervised(encoder(), data, data, shares=(share,))
