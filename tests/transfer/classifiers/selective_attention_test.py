import importlib
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import encoders
from keras_tc2.transfer import SelectiveAttentionClassifier, compare_encoders
from tests.test_case import TestCase

WIDTHS = (5, 3, 4)


def encoder(width, *, shape=(6, 6, 1), seed=0):
    """A small frozen encoder of raw images."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(
                width,
                activation="tanh",
                kernel_initializer=keras.initializers.GlorotUniform(seed),
            ),
        ]
    )


def classifier(widths=WIDTHS, **arguments):
    return SelectiveAttentionClassifier(
        [encoder(width, seed=width) for width in widths],
        3,
        **{"dim": 8, **arguments},
    )


def features(number=12, widths=WIDTHS, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(number, width)).astype("float32") for width in widths]


def images(number=12, shape=(6, 6, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, *shape), "uint8")


LABELS = np.arange(12) % 3


def fit_steps(model, parts, labels, steps):
    """As many updates in one epoch; an epoch for each would take far longer."""
    parts = [np.tile(part, (steps, 1)) for part in parts]
    model.fit(parts, np.tile(labels, steps), batch_size=len(labels), verbose=0)


def with_scores(model, seed=0):
    """The model with a W_q that gives encoders different weights."""
    kernel = model.pooling.to_query.kernel
    kernel.assign(np.random.default_rng(seed).normal(size=kernel.shape))
    return model


class AttentionTest(TestCase):
    def test_formulas(self):
        model = with_scores(classifier(temperature=0.7))
        pooling = model.pooling
        parts = features()
        adapted = []
        for m, part in enumerate(parts):
            u = part @ pooling.adapters[m].kernel.numpy()
            u += pooling.adapters[m].bias.numpy()
            mean, spread = u.mean(1, keepdims=True), u.var(1, keepdims=True)
            adapted.append((u - mean) / np.sqrt(spread + 1e-3))
        adapted = np.stack(adapted, 1)
        query = adapted.mean(1) @ pooling.to_query.kernel.numpy()
        keys = adapted @ pooling.to_key.kernel.numpy()
        scores = np.sum(query[:, None] * keys, -1) / (8 * 0.7)
        weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        assert np.std(weights) > 0.05
        self.assert_close(model.attention(parts), weights, rtol=1e-4, atol=1e-5)
        values = adapted @ pooling.to_value.kernel.numpy()
        pooled = np.sum(weights[..., None] * values, 1)
        logits = pooled @ model.classifier.kernel.numpy()
        self.assert_close(model(parts), logits, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("query", ["mean", "learned", "none"])
    def test_one_encoder_has_all_the_weight(self, query):
        model = with_scores(classifier((5,), query=query))
        # A softmax of one entry is one only up to the last bit on
        # processors that multiply by a reciprocal.
        self.assert_close(model.attention(features(widths=(5,))), 1.0)

    @pytest.mark.parametrize("query", ["mean", "learned", "none"])
    def test_starts_at_equal_weights(self, query):
        model = classifier(query=query)
        self.assert_close(model.attention(features()), 1 / 3)
        model.compile(keras.optimizers.SGD(1.0))
        model.fit(features(), LABELS, epochs=1, batch_size=12, verbose=0)
        moved = np.abs(model.pooling.to_query.kernel).max()
        if query == "none":
            assert moved == 0
            self.assert_close(model.attention(features()), 1 / 3)
        else:
            assert moved > 1e-3
            assert np.std(model.attention(features())) > 1e-3

    @pytest.mark.parametrize("query", ["mean", "learned"])
    def test_permuting_encoders_permutes_the_attention(self, query):
        order = [2, 0, 1]
        model = with_scores(classifier(query=query))
        other = classifier([WIDTHS[m] for m in order], query=query)
        for name in ("to_query", "to_key", "to_value"):
            weights = getattr(model.pooling, name).get_weights()
            getattr(other.pooling, name).set_weights(weights)
        other.classifier.set_weights(model.classifier.get_weights())
        for position, m in enumerate(order):
            for name in ("adapters", "normalizations"):
                weights = getattr(model.pooling, name)[m].get_weights()
                getattr(other.pooling, name)[position].set_weights(weights)
        parts = features()
        assert np.std(model.attention(parts)) > 0.05
        permuted = [parts[m] for m in order]
        self.assert_close(
            other.attention(permuted), model.attention(parts)[:, order], atol=1e-6
        )
        self.assert_close(other(permuted), model(parts), atol=1e-5)

    def test_scaling(self):
        model = classifier(query="scaling")
        # Factors start as equal weights do, and are the only new weights.
        equal, parts = classifier(query="none"), features()
        equal.set_weights(
            [v.numpy() for v in model.weights if v is not model.pooling.scaling]
        )
        self.assert_close(model(parts), equal(parts), atol=1e-5)
        self.assert_close(model.attention(parts), 1 / 3)
        factors = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
        model.pooling.scaling.assign(factors)
        pooling = model.pooling
        scaled = sum(
            factor * pooling.normalizations[m](pooling.adapters[m](part)).numpy()
            for m, (factor, part) in enumerate(zip(factors, parts, strict=True))
        )
        logits = scaled @ pooling.to_value.kernel.numpy() @ model.classifier.kernel
        self.assert_close(model(parts), logits, rtol=1e-4, atol=1e-4)
        self.assert_close(
            model.attention(parts), np.tile(factors.mean(1), (12, 1)), atol=1e-6
        )

    def test_scaling_is_learned_and_saved(self, tmp_path):
        model, parts = classifier(query="scaling"), features()
        model.compile(keras.optimizers.Adam(0.1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(parts, LABELS, epochs=2, verbose=0)
        assert np.std(model.pooling.scaling) > 0.01
        model.save(tmp_path / "scaling.keras")
        reloaded = keras.saving.load_model(tmp_path / "scaling.keras")
        np.testing.assert_array_equal(reloaded(parts), model(parts))

    def test_entropy_weight_concentrates(self):
        parts, spread = features(), {}
        for weight in (0.0, 1.0):
            model = classifier(entropy_weight=weight)
            model.compile(keras.optimizers.Adam(0.02))
            fit_steps(model, parts, LABELS, steps=60)
            attention = model.attention(parts)
            spread[weight] = -np.mean(np.sum(attention * np.log(attention), axis=1))
        assert spread[1.0] < 0.5 * spread[0.0]


class FitTest(TestCase):
    def test_an_informative_encoder_gets_most_of_the_weight(self):
        rng = np.random.default_rng(0)
        labels = np.arange(90) % 3
        parts = [rng.normal(size=(90, 6)).astype("float32") for _ in range(3)]
        parts[1] += 4 * np.eye(6, dtype="float32")[labels]
        model = classifier((6, 6, 6), seed=1)
        model.compile(keras.optimizers.Adam(0.03))
        fit_steps(model, [part[:60] for part in parts], labels[:60], steps=100)
        held = [part[60:] for part in parts]
        attention = model.attention(held)
        assert attention.shape == (30, 3)
        self.assert_close(attention.sum(1), 1.0, atol=1e-5)
        assert attention.mean(0)[1] > 0.6
        accuracy = np.mean(np.argmax(model.predict(held, verbose=0), 1) == labels[60:])
        assert accuracy > 0.85

    def test_images_are_encoded_once_and_as_each_encoder_takes_them(self, tmp_path):
        created = encoders.create("convnet", input_shape=(8, 8, 3), widths=(4,))
        created.save_pretrained(tmp_path / "encoder")
        small = encoder(5)
        before = [
            [np.array(v) for v in small.get_weights()],
            [np.array(v) for v in created.get_weights()],
        ]
        model = SelectiveAttentionClassifier(
            [small, str(tmp_path / "encoder")], 3, cache_dir=tmp_path / "cache"
        )
        assert model.feature_dims == [5, 4]
        model.compile(keras.optimizers.Adam(0.01))
        pixels = images()
        history = model.fit(
            pixels, LABELS, epochs=3, verbose=0, validation_data=(pixels, LABELS)
        ).history
        assert history["loss"][-1] < history["loss"][0]
        assert len(list((tmp_path / "cache").glob("*.npz"))) == 2
        parts = model.encode(pixels)
        self.assert_close(parts[0], small(pixels), atol=1e-5)
        assert parts[1].shape == (12, 4)
        dataset = tf.data.Dataset.from_tensor_slices((pixels, LABELS))
        for a, b in zip(parts, model.encode(dataset), strict=True):
            self.assert_close(a, b, atol=1e-6)
        np.testing.assert_array_equal(
            model.predict(pixels, verbose=0), model.predict(parts, verbose=0)
        )
        assert model.evaluate(pixels, LABELS, verbose=0) == model.evaluate(
            dataset, verbose=0
        )
        for kept, part in zip(before, model.encoders, strict=True):
            for a, b in zip(kept, part.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
        assert small.trainable and all(layer.trainable for layer in small.layers)
        frozen = {id(v) for part in model.encoders for v in part.variables}
        assert not any(id(v) in frozen for v in model.trainable_variables)

    def test_all_encoders_see_a_shuffled_dataset_in_one_order(self):
        # The first feature of either encoder is the number of the image.
        pixels = np.arange(40, dtype="float32").reshape(40, 1, 1, 1)
        layers = [keras.Input((1, 1, 1)), keras.layers.Flatten()]
        twins = [keras.Sequential(layers) for _ in range(2)]
        dataset = tf.data.Dataset.from_tensor_slices((pixels, np.arange(40)))
        model = SelectiveAttentionClassifier(twins, 3, dim=8)
        first, second = model.encode(dataset.shuffle(40, seed=0))
        np.testing.assert_array_equal(first, second)
        assert set(first[:, 0]) == set(range(40))

    def test_standardises_by_the_first_fit_alone(self):
        model = classifier()
        model.compile()
        parts = [100 + 50 * part for part in features()]
        model.fit(parts, LABELS, epochs=1, verbose=0)
        mean = model.pooling.means[0].numpy()
        self.assert_close(mean, parts[0].mean(0), rtol=1e-5)
        assert 40 < float(model.pooling.scales[0]) < 60
        model.fit(features(seed=1), LABELS, epochs=1, verbose=0)
        np.testing.assert_array_equal(model.pooling.means[0], mean)

    def test_plot(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        model = classifier()
        figure = model.plot_attention(
            features(), LABELS, names=["a", "b", "c"], path="~/attention.png"
        )
        assert (tmp_path / "attention.png").stat().st_size > 5_000
        assert len(figure.axes) == 3
        with pytest.raises(ValueError, match="one name a column"):
            model.plot_attention(features(), LABELS, names=["a"])


class SavingTest(TestCase):
    def test_config(self):
        self.run_config_test(
            SelectiveAttentionClassifier,
            {
                "encoders": [encoder(5), encoder(3)],
                "num_classes": 4,
                "dim": 8,
                "temperature": 0.5,
                "query": "learned",
                "entropy_weight": 0.1,
                "cache_dir": "features",
                "batch_size": 7,
                "seed": 3,
            },
        )

    def test_loads_without_the_folders_of_its_encoders(self, tmp_path):
        created = encoders.create("convnet", input_shape=(6, 6, 1), widths=(4,))
        folder = tmp_path / "encoder"
        created.save_pretrained(folder)
        model = SelectiveAttentionClassifier([encoder(5), folder], 3)
        model.compile()
        model.fit(images(), LABELS, epochs=1, verbose=0)
        model.save(tmp_path / "model.keras")
        folder.rename(tmp_path / "elsewhere")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(
            loaded.attention(images()), model.attention(images())
        )
        np.testing.assert_array_equal(
            loaded.predict(images(), verbose=0), model.predict(images(), verbose=0)
        )
        for m in (model, loaded):
            m.fit(images(), LABELS, epochs=1, shuffle=False, verbose=0)
        for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class ErrorsTest(TestCase):
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"dim": 0}, "`dim` must be an integer"),
            ({"temperature": 0.0}, "`temperature` must be"),
            ({"query": "max"}, "`query` must be one of"),
            ({"query": "scaling", "entropy_weight": 0.1}, "no entropy"),
            ({"entropy_weight": -1.0}, "`entropy_weight` must be"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            classifier(**arguments)

    def test_encoders(self):
        with pytest.raises(ValueError, match="a list of at least one encoder"):
            SelectiveAttentionClassifier([], 3)
        with pytest.raises(ValueError, match="a list of at least one encoder"):
            SelectiveAttentionClassifier(encoder(3), 3)
        maps = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)])
        with pytest.raises(ValueError, match=r"images to features \(batch, dim\)"):
            SelectiveAttentionClassifier([maps], 3)

    def test_data(self):
        model = classifier()
        model.compile()
        with pytest.raises(ValueError, match="one array"):
            model.predict(features()[:2])
        with pytest.raises(ValueError, match="Labels are missing"):
            model.fit(images())
        with pytest.raises(ValueError, match=r"an array \(N, H, W, C\)"):
            model.predict(images()[0])


class CompareEncodersTest(TestCase):
    def data(self, number, seed):
        """Two kinds of images, bright above or below, which only one encoder sees."""
        labels = np.arange(number) % 2
        pixels = np.random.default_rng(seed).integers(0, 100, (number, 6, 6, 1))
        for label, rows in ((0, slice(0, 3)), (1, slice(3, 6))):
            pixels[labels == label, rows] += 150
        return pixels.astype("uint8"), 5 * labels + 2

    def test_every_baseline_in_one_table(self):
        blind = keras.Sequential(
            [keras.Input((6, 6, 1)), keras.layers.GlobalAveragePooling2D()]
        )
        rows = compare_encoders(
            {"sees": encoder(5), "blind": blind},
            self.data(20, 0),
            self.data(40, 1),
            epochs=10,
            learning_rate=0.02,
            fine_tuning={"epochs": 1},
            dim=8,
        )
        assert list(rows) == [
            "linear: sees",
            "linear: blind",
            "all features, linear",
            "uniform mean",
            "best single, fine-tuned",
            "selective attention",
        ]
        assert rows["linear: sees"] > 0.9 > rows["linear: blind"]
        assert rows["selective attention"] > 0.9

    def test_encoders_that_take_other_images_are_fine_tuned(self, tmp_path):
        large = encoders.create("convnet", input_shape=(8, 8, 3), widths=(4,))
        large.save_pretrained(tmp_path)
        rows = compare_encoders(
            {"large": str(tmp_path)},
            self.data(20, 0),
            self.data(10, 1),
            epochs=1,
            fine_tuning={"epochs": 1},
        )
        assert 0 <= rows["best single, fine-tuned"] <= 1

    def test_fine_tunes_the_encoder_that_is_best_on_train(self, monkeypatch):
        """Train shows the class in the upper half, test in the lower."""
        halves = {
            name: keras.Sequential(
                [
                    keras.Input((6, 6, 1)),
                    keras.layers.Cropping2D((rows, (0, 0))),
                    keras.layers.GlobalAveragePooling2D(),
                ]
            )
            for name, rows in (("upper", (0, 3)), ("lower", (3, 0)))
        }
        rng = np.random.default_rng(0)
        labels = np.arange(60) % 2
        train, test = rng.integers(0, 100, (2, 60, 6, 6, 1)).astype("uint8")
        train[labels == 1, :3] += 150
        # What the lower half of train shows is true of two thirds.
        train[(labels == 1) ^ (np.arange(60) % 3 == 0), 3:] += 150
        test[labels == 1, 3:] += 150
        tuned = []

        def fine_tune(encoder, *_, **__):
            tuned.append(encoder)
            return {"accuracy": 0.0}

        module = importlib.import_module("keras_tc2.transfer.compare_encoders")
        monkeypatch.setattr(module, "fine_tune", fine_tune)
        rows = compare_encoders(halves, (train, labels), (test, labels), epochs=1)
        assert rows["linear: lower"] > 0.9 > rows["linear: upper"]
        assert tuned == [halves["upper"]]

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("dim", 0),
            ("temperature", 0.0),
            ("query", "loud"),
            ("entropy_weight", -1.0),
            ("batch_size", 0),
        ],
    )
    def test_arguments_of_attention(self, argument, value):
        with pytest.raises(ValueError, match=f"`{argument}`"):
            compare_encoders(
                {"sees": encoder(5)},
                self.data(4, 0),
                self.data(4, 1),
                **{argument: value},
            )

    def test_encoders_have_names(self):
        with pytest.raises(ValueError, match=r"`encoders` must be a dict.*list"):
            compare_encoders([encoder(5)], self.data(4, 0), self.data(4, 1))

    def test_features_are_kept(self, tmp_path):
        compare_encoders(
            {"sees": encoder(5)},
            self.data(4, 0),
            self.data(4, 1),
            epochs=1,
            fine_tuning=False,
            cache_dir=tmp_path,
        )
        assert len(list(tmp_path.iterdir())) == 2

    def test_one_image_a_class(self):
        rows = compare_encoders(
            {"sees": encoder(5)},
            self.data(2, 0),
            self.data(40, 1),
            epochs=1,
            dim=8,
        )
        assert "best single, fine-tuned" not in rows
        assert rows["linear: sees"] > 0.8
