import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import encoders
from keras_tc2.transfer import merge
from tests.test_case import TestCase
from tests.transfer.merge import networks


def linear_encoder(kernel):
    """Pixels times a kernel, and a bias of zeros."""
    inputs = keras.Input((1, 3, 1))
    layer = keras.layers.Dense(2)
    model = keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))
    layer.kernel.assign(kernel)
    return model


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def closed_form(x, kernel, head):
    """Diagonal Fisher of W in softmax((x W) A): mean over n of x_a² Var_p(A_b·)."""
    p = softmax(x @ kernel @ head)
    mean = p @ head.T
    variance = np.einsum("nk,nbk->nb", p, (head[None] - mean[:, :, None]) ** 2)
    return np.einsum("na,nb->ab", x**2, variance) / len(x), variance.mean(0)


class DiagonalFisherTest(TestCase):
    def test_of_a_linear_softmax_model(self):
        rng = np.random.default_rng(0)
        x, kernel = rng.normal(size=(7, 3)), rng.normal(size=(3, 2))
        head = rng.normal(size=(2, 4))
        fisher = merge.diagonal_fisher(
            linear_encoder(kernel),
            lambda features: features @ tf.constant(head, "float32"),
            x.reshape(7, 1, 3, 1).astype("float32"),
        )
        for found, expected in zip(fisher, closed_form(x, kernel, head), strict=True):
            self.assert_close(found, expected, rtol=1e-4)

    def test_against_the_jacobian_of_single_images(self):
        model, images = networks.encoder(), networks.images(3)
        head = keras.layers.Dense(3)
        head.build((None, 4))
        fisher = merge.diagonal_fisher(model, head, images)
        variables = model.trainable_variables
        expected = [np.zeros(v.shape) for v in variables]
        for image in images:
            with tf.GradientTape(persistent=True) as tape:
                logs = tf.nn.log_softmax(head(model(image[None])))[0]
            values = [v.value for v in variables]
            jacobians = tape.jacobian(logs, values, experimental_use_pfor=False)
            for total, jacobian in zip(expected, jacobians, strict=True):
                total += np.tensordot(np.exp(logs), np.square(jacobian), 1) / 3
        trained = networks.trained_weights(model)
        for i, value in zip(trained, expected, strict=True):
            self.assert_close(fisher[i], value, rtol=1e-4)
        for i in set(range(len(fisher))) - set(trained):
            assert not fisher[i].any()

    @pytest.mark.slow(reason="what it guards ends the whole process")
    def test_narrow_convolutions(self):
        shape = (32, 32, 3)
        model = encoders.create("resnet18", input_shape=shape, width=8)
        head = keras.layers.Dense(2)
        head.build((None, model.feature_dim))
        images = np.random.default_rng(0).integers(0, 256, (2, *shape), "uint8")
        fisher = merge.diagonal_fisher(model, head, images)
        assert all(np.isfinite(values).all() for values in fisher)


class FisherAverageTest(TestCase):
    def test_weighs_by_fisher(self):
        rng = np.random.default_rng(0)
        kernels = [rng.normal(size=(3, 2)) for _ in range(2)]
        kernels[1] = kernels[0] + 0.3 * kernels[1]
        heads = [rng.normal(size=(2, 4)) for _ in range(2)]
        xs = [rng.normal(size=(6, 3)) for _ in range(2)]
        # The last pixel is never lit: no Fisher, so a plain weighted mean.
        for x in xs:
            x[:, 2] = 0
        merged = merge.fisher_average(
            [linear_encoder(kernel) for kernel in kernels],
            [(x.reshape(6, 1, 3, 1).astype("float32"), np.arange(6) % 2) for x in xs],
            heads=[lambda f, a=a: f @ tf.constant(a, "float32") for a in heads],
            weights=[0.25, 0.75],
        )
        fishers = [
            np.maximum(closed_form(*arguments)[0], 1e-6)
            for arguments in zip(xs, kernels, heads, strict=True)
        ]
        shares = 0.25 * fishers[0], 0.75 * fishers[1]
        expected = shares[0] * kernels[0] + shares[1] * kernels[1]
        expected /= shares[0] + shares[1]
        self.assert_close(merged.get_weights()[0], expected, rtol=1e-4)
        plain = 0.25 * kernels[0][2] + 0.75 * kernels[1][2]
        self.assert_close(merged.get_weights()[0][2], plain, rtol=1e-5)

    @pytest.mark.parametrize("num_classes", [2, 3])
    def test_fitted_heads_are_softmax_regressions(self, num_classes):
        from sklearn.linear_model import LogisticRegression

        base = networks.encoder()
        encoders = [base, networks.tuned(base, 1)]
        examples = networks.images(12), 5 * (np.arange(12) % num_classes)
        heads = []
        for encoder in encoders:
            features = np.asarray(encoder(examples[0]), "float64")
            mean, scale = features.mean(0), features.std(0)
            fitted = LogisticRegression(max_iter=1000)
            fitted.fit((features - mean) / scale, examples[1])

            def head(features, fitted=fitted, mean=mean, scale=scale):
                standard = (features - mean.astype("f")) / scale.astype("f")
                logits = standard @ fitted.coef_.T.astype("f")
                logits += fitted.intercept_.astype("f")
                if num_classes == 2:
                    logits = tf.concat([tf.zeros_like(logits), logits], 1)
                return logits

            heads.append(head)
        fitted = merge.fisher_average(encoders, [examples] * 2)
        given = merge.fisher_average(encoders, [examples] * 2, heads=heads)
        for a, b in zip(fitted.get_weights(), given.get_weights(), strict=True):
            self.assert_close(a, b, rtol=1e-3, atol=1e-5)

    def test_errors(self):
        base = networks.encoder()
        encoders = [base, networks.tuned(base, 1)]
        images, labels = networks.images(), np.arange(12) % 3
        good = images, labels
        for examples, words in (
            ([good], "examples.*each of the 2"),
            (good[0], "examples.*each of the 2"),
            ([good, images], r"Labels of `examples\[1\]` are missing"),
            ([good, (images, None)], r"Labels of `examples\[1\]` are missing"),
            ([good, (images, labels[:5])], r"`examples\[1\]`.*one label for each"),
            ([(images, labels * 0), good], r"`examples\[0\]`.*two classes"),
        ):
            with pytest.raises(ValueError, match=words):
                merge.fisher_average(encoders, examples)
        for arguments, words in (
            ({"weights": [1.0, 1.0]}, "sum to one"),
            ({"floor": 0}, "floor"),
            ({"heads": [keras.layers.Dense(3)]}, "heads.*each of the 2"),
        ):
            with pytest.raises(ValueError, match=words):
                merge.fisher_average(encoders, [good, good], **arguments)
