import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from keras_tc2 import data, encoders, transfer
from keras_tc2.transfer.classifiers.domain_adversarial import (
    DomainAdversarial,
    reversal_factor,
)
from tests.test_case import TestCase


def encoder(width=8):
    """Linear, so that a step can be followed by hand."""
    start = keras.initializers.GlorotUniform(0)
    return keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(width, kernel_initializer=start),
        ]
    )


def pixels(number, domain, seed=0):
    """Two pixels show the class; a third one does in domain 0, and shows the domain."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    signs = 2.0 * labels - 1
    images = rng.normal(size=(number, 4))
    images[:, 0] += signs
    images[:, 1] -= signs
    images[:, 2] += 3.0 if domain else signs
    return images.reshape(-1, 2, 2, 1).astype("float32"), labels


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    module = sys.modules["keras_tc2.transfer.classifiers.fine_tuning"]
    monkeypatch.setattr(module, "MIN_STEPS", 1)


class DomainAdversarialTest(TestCase):
    def test_schedule(self):
        self.assert_close(reversal_factor(tf.constant([0.0, 0.1])), [0, 0.46211716])
        self.assert_close(reversal_factor(tf.constant(1.0)), 0.9999092)

    @pytest.mark.parametrize("done, weight", [(0.0, 1.0), (3.0, 1.0), (3.0, 0.4)])
    def test_a_step_is_that_of_the_paper(self, done, weight):
        model = DomainAdversarial(
            encoder(), 2, feature_dim=8, seed=0, num_steps=10, weight=weight
        )
        sgd = keras.optimizers.SGD
        model.compile(sgd(0.1), encoder_optimizer=sgd(0.01))
        head = model.head.dense
        model.step.assign(done)
        head.kernel.assign(np.random.default_rng(0).normal(size=(8, 2)))
        (images, labels), (targets, _) = pixels(6, 0), pixels(4, 1, seed=1)
        kernel = model.encoder.layers[1].kernel

        def losses():
            """Of labels and of domains, written out without any reversal."""
            features = np.concatenate([images, targets]).reshape(10, 4) @ kernel.value
            features += model.encoder.layers[1].bias.value
            mean, variance = tf.nn.moments(features, 0)
            features = (features - mean) / tf.sqrt(variance + 1e-3)
            logs = tf.nn.log_softmax(features[:6] @ head.kernel.value + head.bias.value)
            hidden = tf.nn.relu(
                features @ model.domain_hidden.kernel.value
                + model.domain_hidden.bias.value
            )
            logits = hidden @ model.domain_logit.kernel.value
            logits += model.domain_logit.bias.value
            source = -tf.math.log_sigmoid(logits[:6])
            target = -tf.math.log_sigmoid(-logits[6:])
            label = -tf.reduce_mean(tf.gather(logs, labels, batch_dims=1))
            return label, tf.reduce_mean(source) + tf.reduce_mean(target)

        hidden = model.domain_hidden.kernel
        watched = [kernel.value, hidden.value, head.kernel.value]
        with tf.GradientTape(persistent=True) as tape:
            label, domain = losses()
        of_label = tape.gradient(label, watched, unconnected_gradients="zero")
        of_domain = tape.gradient(domain, watched, unconnected_gradients="zero")
        before = [v.numpy() for v in watched]
        assert np.abs(of_domain[0]).max() > 1e-3
        model.train_step(
            ((tf.constant(images), tf.constant(targets)), tf.constant(labels))
        )
        factor = weight * (2 / (1 + np.exp(-done)) - 1)
        expected = (
            before[0] - 0.01 * (of_label[0] - factor * of_domain[0]),
            before[1] - 0.1 * of_domain[1],
            before[2] - 0.1 * of_label[2],
        )
        found = (kernel, hidden, head.kernel)
        for a, b in zip(found, expected, strict=True):
            self.assert_close(a, b, rtol=1e-4, atol=1e-6)
        assert float(model.step) == done + 1


class FineTuneTest(TestCase):
    def tune(self, target_images, **options):
        return transfer.fine_tune(
            encoder(2),
            pixels(200, 0),
            pixels(200, 1, seed=1),
            target_images=target_images,
            **{"epochs": 80, "batch_size": 50, "learning_rate": 0.01, **options},
        )

    @pytest.mark.slow(reason="trains three times; a step is tested above")
    def test_the_domain_is_not_told_and_labels_of_the_target_are(self):
        (source, _), (target, _) = pixels(200, 0), pixels(200, 1, seed=2)
        everything = np.concatenate([source, target])
        domain = np.repeat([0, 1], 200)
        told, accuracy = {}, {}
        for name, images, weight in (
            ("plain", None, 1.0),
            ("no weight", target, 0.0),
            ("adversarial", target, 1.0),
        ):
            tuned = self.tune(images, patience=80, adversarial_weight=weight)
            features = transfer.extract_features(tuned["model"].encoder, everything)
            probe = LogisticRegression().fit(features, domain)
            told[name] = probe.score(features, domain)
            accuracy[name] = tuned["accuracy"]
        # Found: 0.85 and 0.53, then 0.59 and 0.94.
        assert told["adversarial"] < 0.65 < 0.75 < min(told["plain"], told["no weight"])
        assert accuracy["plain"] < 0.75 < 0.85 < accuracy["adversarial"]
        assert accuracy["no weight"] < accuracy["adversarial"] - 0.1

    def test_every_epoch_runs_and_images_may_have_labels(self):
        dataset = tf.data.Dataset.from_tensor_slices(pixels(7, 1, seed=2))
        # Of a number that is not known.
        dataset = dataset.filter(lambda image, label: True)
        result = self.tune(dataset, epochs=3, patience=0, augmentation=lambda x: x + 0)
        assert result["num_epochs"] == 3
        assert "domain_accuracy" in result["history"]
        # What remains is a classifier like any other.
        assert type(result["model"]) is encoders.Classifier
        assert set(result["model"].classify(pixels(9, 1)[0])) <= {0, 1}
        assert result["model"].compiled

    def test_errors(self):
        images = pixels(8, 1)[0]
        for wrong, words in (
            (images[:, :1], r"shape \(2, 2, 1\)"),
            (images.astype("uint8"), "type float32"),
            (images[:0], "Received: 0"),
            (images[0], "must be an array"),
            (tf.data.Dataset.from_tensor_slices(images).batch(2), "unbatched"),
        ):
            with pytest.raises(ValueError, match=words):
                self.tune(wrong)
        with pytest.raises(ValueError, match="encoder_learning_rate_factor"):
            self.tune(images, encoder_learning_rate_factor=0)
        with pytest.raises(ValueError, match="adversarial_weight"):
            self.tune(images, adversarial_weight=-1.0)


class DomainAdaptationTest(TestCase):
    def domains(self, *names):
        return {
            name: (pixels(60, i, seed=2 * i), pixels(30, i, seed=2 * i + 1))
            for i, name in enumerate(names)
        }

    def test_rows_of_a_report(self):
        report = transfer.evaluate(
            encoder(),
            {"art": self.domains("photo", "sketch")},
            protocols=[transfer.DomainAdaptation(fine_tuning={"epochs": 2})],
        )
        values = {row["protocol"]: row["value"] for row in report.rows}
        parts = [values[f"domain_adaptation_{name}"] for name in ("photo", "sketch")]
        self.assert_close(values["domain_adaptation"], np.mean(parts))

    def test_trains_on_the_labels_of_the_others_alone(self):
        domains = self.domains("photo", "sketch", "paint")
        options = {"epochs": 2, "batch_size": 30}
        results = transfer.adapt_to_domains(
            encoder(), domains, adversarial=False, fine_tuning=options
        )
        others = [domains[name][0] for name in ("photo", "sketch")]
        train = tuple(np.concatenate(arrays) for arrays in zip(*others, strict=True))
        expected = transfer.fine_tune(encoder(), train, domains["paint"][1], **options)
        self.assert_close(
            results["paint"]["model"].head.dense.kernel,
            expected["model"].head.dense.kernel,
            rtol=1e-4,
        )

    def test_domains_that_number_their_classes_differently(self):
        names = np.array(["ant", "bee"])
        options = {"fine_tuning": {"epochs": 2}, "adversarial": False}
        plain = {
            domain: tuple(
                ((64 + 40 * images).clip(0, 255).astype("uint8"), labels)
                for images, labels in pair
            )
            for domain, pair in self.domains("photo", "sketch").items()
        }
        named = {
            domain: tuple(
                data.load(images, labels=names[labels], class_names=order)
                for images, labels in pair
            )
            for (domain, pair), order in zip(
                plain.items(), (["ant", "bee"], ["none", "bee", "ant"]), strict=True
            )
        }
        expected = transfer.adapt_to_domains(encoder(), plain, **options)
        found = transfer.adapt_to_domains(encoder(), named, **options)
        for domain in plain:
            assert found[domain]["accuracy"] == expected[domain]["accuracy"]
            assert found[domain]["model"].classes == ["ant", "bee"]

    def test_labels_of_the_domain_that_is_left_out_are_not_used(self):
        domains, options = self.domains("photo", "sketch"), {"epochs": 2}
        results = []
        for _ in range(2):
            found = transfer.adapt_to_domains(encoder(), domains, fine_tuning=options)
            results.append(found["sketch"])
            images, labels = domains["sketch"][0]
            domains["sketch"] = (images, 1 - labels), domains["sketch"][1]
        assert "domain_accuracy" in results[0]["history"]
        np.testing.assert_array_equal(
            results[0]["predictions"], results[1]["predictions"]
        )

    def test_errors(self):
        domains = self.domains("photo")
        with pytest.raises(ValueError, match="at least two domains"):
            transfer.adapt_to_domains(encoder(), {"photo": domains["photo"]})
        with pytest.raises(ValueError, match="has no domains"):
            transfer.evaluate(
                encoder(), {"flat": domains["photo"]}, protocols="domain_adaptation"
            )
