import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, layers
from keras_tc2.objectives import NTXent, VICReg
from keras_tc2.pretraining import Batch, SSLPretrainer
from tests import tiny
from tests.test_case import TestCase


def pretrainer(objective=None, **arguments):
    return SSLPretrainer(
        tiny.encoder(),
        objective=objective or NTXent(0.5),
        projector=layers.ProjectionHead(4, hidden_dim=16),
        **arguments,
    )


class GradientsTest(TestCase):
    @pytest.mark.parametrize("objective", [NTXent(0.5), VICReg()])
    def test_against_central_differences(self, float64, objective):
        model = pretrainer(objective)
        tiny.move_off_the_start(model.trainable_variables)
        views = tiny.views(8, dtype="float64")
        _, gradients = model.value_and_gradients(*views)

        def loss():
            return model.compute_losses(Batch(views), training=True)[0]["loss"]

        self.check_gradients(loss, model.trainable_variables, gradients)


class SSLPretrainerTest(TestCase):
    def test_config(self):
        arguments = {
            "encoder": tiny.encoder(),
            "objective": VICReg(),
            "projector": layers.ProjectionHead(3),
            "augmentation": [augment.RandomHorizontalFlip(seed=4)],
            "nonfinite_patience": 3,
        }
        self.run_config_test(SSLPretrainer, arguments)

    def test_saves_and_loads_whole(self, tmp_path):
        model = pretrainer()
        path = str(tmp_path / "pretrainer.keras")
        model.save(path)
        reloaded = keras.saving.load_model(path)
        views = tiny.views()
        np.testing.assert_array_equal(
            model.predict(views[0], verbose=0), reloaded.predict(views[0], verbose=0)
        )

    def test_any_keras_model_is_a_projector(self):
        projector = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model = SSLPretrainer(tiny.encoder(), objective="vicreg", projector=projector)
        losses, gradients = model.value_and_gradients(*tiny.views())
        assert np.isfinite(losses["loss"])
        assert len(gradients) == len(model.trainable_variables)

    def test_refuses_what_is_no_encoder(self):
        with pytest.raises(ValueError, match=r"keras_tc2.Encoder.wrap\(model\)"):
            SSLPretrainer(keras.Sequential(), objective="nt_xent")

    def test_an_update_is_the_optimizer_on_the_gradients(self):
        model, twin = pretrainer(), pretrainer()
        twin.set_weights(model.get_weights())
        model.compile(keras.optimizers.SGD(0.1))
        views = tiny.views()
        _, gradients = twin.value_and_gradients(*views)
        model.train_on_batch(*views)
        for actual, start, gradient in zip(
            model.trainable_variables, twin.trainable_variables, gradients, strict=True
        ):
            self.assert_close(actual, start - 0.1 * gradient, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_mixed_precision_is_near_float32(self, policy):
        views = tiny.views(16)
        losses = []
        weights = None
        for name in ("float32", policy):
            keras.config.set_dtype_policy(name)
            model = pretrainer()
            weights = weights or model.get_weights()
            model.set_weights(weights)
            optimizer = keras.optimizers.SGD(0.05)
            if policy == "mixed_float16":
                # From Keras's own start, 2¹⁵, the scale first falls for some steps.
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer, 2.0**7)
            model.compile(optimizer)
            logs = [model.train_on_batch(*views, return_dict=True) for _ in range(4)]
            losses.append(logs[-1]["loss"])
            assert all(v.dtype == "float32" for v in model.trainable_variables)
        self.assert_close(losses[1], losses[0], rtol=0.03)
        assert losses[0] != losses[1]

    def test_task_ids_are_ignored(self):
        model = pretrainer()
        model.compile("sgd")
        data = tf.data.Dataset.from_tensors((*tiny.views(), np.zeros(8, "int32")))
        history = model.fit(data, verbose=0).history
        assert np.isfinite(history["loss"][0])
