"""Steps that XLA compiles: the same numbers, one compilation, and clear refusals."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, data, layers, objectives
from keras_tc2.pretraining import BiSSLTrainer, SSLPretrainer, TC2Pretrainer
from tests import replicas, tiny
from tests.objectives.small import small
from tests.test_case import TestCase

KINDS = {
    "ssl": None,
    "clusters": {"num_tasks": 2},
    "projector": tiny.WHOLE_TC2,
    "encoder": {**tiny.WHOLE_TC2, "inner_scope": "encoder"},
}
GPU = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")


def pretrainer(kind, objective="nt_xent"):
    arguments = {
        "objective": small(objective) if isinstance(objective, str) else objective,
        "projector": layers.ProjectionHead(4, hidden_dim=5),
    }
    if kind == "ssl":
        return SSLPretrainer(tiny.encoder(), **arguments)
    return TC2Pretrainer(tiny.encoder(), **arguments, **KINDS[kind])


def dataset(steps=2):
    return tf.data.Dataset.from_tensors(tiny.views()).repeat(steps)


def through_strings(embeddings_1, embeddings_2):
    """An objective that XLA cannot compile."""
    text = tf.strings.as_string(embeddings_2)
    return tf.reduce_mean((embeddings_1 - tf.strings.to_number(text)) ** 2)


def left_half(batch_size, image_shape, *, dtype, **_):
    """Masks that hide the left half of every image."""
    height, width, _ = image_shape
    hidden = tf.range(width) < width // 2
    masks = tf.cast(hidden[None, None, :, None], dtype)
    return tf.tile(masks, (batch_size, height, 1, 1))


class EqualityTest(TestCase):
    def test_ssl(self):
        self.check_equality("ssl", "nt_xent")

    # XLA takes half a minute for the smallest of models on a CPU.
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", list(KINDS))
    @pytest.mark.parametrize("objective", objectives.names())
    def test_every_objective(self, kind, objective, monkeypatch):
        # XLA draws other masks from the same seed.
        module = sys.modules[objectives.SimMIM.__module__]
        monkeypatch.setattr(module, "patch_masks", left_half)
        self.check_equality(kind, objective)

    def check_equality(self, kind, objective):
        keras.utils.set_random_seed(3)
        plain, compiled = pretrainer(kind, objective), pretrainer(kind, objective)
        tiny.move_off_the_start(plain.trainable_variables)
        compiled.set_weights(plain.get_weights())
        before = plain.get_weights()
        plain.compile(keras.optimizers.SGD(0.05), jit_compile=False)
        compiled.compile(keras.optimizers.SGD(0.05), jit_compile=True)
        expected = plain.fit(dataset(), verbose=0).history
        found = compiled.fit(dataset(), verbose=0).history
        assert set(found) == set(expected)
        # float32, other orders of summation.
        for name, values in expected.items():
            self.assert_close(found[name], values, rtol=1e-4, atol=1e-4)
        for weights, others, start in zip(
            plain.get_weights(), compiled.get_weights(), before, strict=True
        ):
            self.assert_close(others - start, weights - start, rtol=1e-3, atol=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("augmented", [False, True])
    def test_bissl(self, augmented):
        histories = []
        images = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 2), "uint8")
        for jit_compile in (False, True):
            keras.utils.set_random_seed(3)
            model = BiSSLTrainer(
                tiny.encoder(),
                layers.ProjectionHead(4, hidden_dim=5),
                "nt_xent",
                2,
                warmup_steps=1,
                num_alternations=1,
                lower_steps=1,
                upper_steps=1,
                augmentation=augment.simclr(image_size=6, channels=2)
                if augmented
                else None,
            )
            model.compile(jit_compile=jit_compile)
            labelled = (tiny.views()[0], np.arange(8) % 2)
            labelled = tf.data.Dataset.from_tensors(labelled).repeat(3)
            views = dataset(3)
            if augmented:
                views = data.batches(images, batch_size=8, seed=0)
            both = tf.data.Dataset.zip((views, labelled))
            histories.append(model.fit(both, verbose=0).history)
        for name, values in histories[0].items():
            self.assert_close(histories[1][name], values, rtol=1e-3, atol=1e-4)


class CompilationTest(TestCase):
    # A gradient through a function takes shapes from within it, XLA wants them as
    # constants and takes all that the function is given for constants, the weights too.
    @pytest.mark.parametrize("kind", ["ssl", "projector"])
    def test_no_gradient_passes_through_a_function(self, kind):
        model = pretrainer(kind)
        model.compile("sgd", jit_compile=True)
        step = tf.function(lambda *views: model.train_step(views), jit_compile=True)
        views = [tf.TensorSpec(view.shape, "float32") for view in tiny.views()]
        operations = step.get_concrete_function(*views).graph.get_operations()
        assert not [o.name for o in operations if "PartitionedCall" in o.type]

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["projector", "encoder"])
    def test_compiles_once(self, kind, tmp_path):
        script = (
            "from tests.pretraining.core import xla_test as t\n"
            f"model = t.pretrainer({kind!r})\n"
            "model.compile('adam', jit_compile=True)\n"
            "model.fit(t.dataset(3), verbose=0)\n"
        )
        flags = f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"
        environment = {**os.environ, "XLA_FLAGS": flags}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
        programs = tmp_path.glob("*one_step_on_data*before_optimizations.txt")
        assert len(list(programs)) == 1


class AutoTest(TestCase):
    def test_is_off_on_a_cpu_and_on_on_a_gpu(self, monkeypatch):
        if not tf.config.list_physical_devices("GPU"):
            model = pretrainer("ssl")
            model.compile("sgd")
            assert model.jit_compile is False
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [GPU])
        model = pretrainer("ssl")
        model.compile("sgd")
        assert model.jit_compile is True
        model.compile("sgd", run_eagerly=True)
        assert model.jit_compile is False

    def test_is_off_on_several_replicas(self, monkeypatch):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [GPU])
        with replicas.mirrored(2).scope():
            model = pretrainer("ssl")
            model.compile("sgd")
        assert model.jit_compile is False

    def test_survives_the_config(self):
        model = pretrainer("ssl")
        model.compile("sgd")
        assert model.get_compile_config()["jit_compile"] == "auto"

    def test_runs_without_what_cannot_be_compiled_and_loses_no_batch(self, monkeypatch):
        model, plain = (pretrainer("ssl", through_strings) for _ in range(2))
        plain.set_weights(model.get_weights())
        plain.compile(keras.optimizers.SGD(0.05), jit_compile=False)
        with monkeypatch.context() as patch:
            patch.setattr(tf.config, "list_physical_devices", lambda *_: [GPU])
            model.compile(keras.optimizers.SGD(0.05))
        with pytest.warns(UserWarning, match=r"XLA cannot compile.*`AsString`"):
            history = model.fit(dataset(3), verbose=0).history
        assert history == plain.fit(dataset(3), verbose=0).history
        assert model.optimizer.iterations == 3
        for weights, others in zip(
            plain.get_weights(), model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(others, weights)

    def test_compiles_what_can_be_compiled(self, monkeypatch, recwarn):
        model = pretrainer("ssl")
        with monkeypatch.context() as patch:
            patch.setattr(tf.config, "list_physical_devices", lambda *_: [GPU])
            model.compile("sgd")
        assert np.isfinite(model.fit(dataset(), verbose=0).history["loss"][0])
        assert model.jit_compile is True
        assert not [w for w in recwarn if "XLA" in str(w.message)]


def augmented_pretrainer():
    return SSLPretrainer(
        tiny.encoder(),
        objective="nt_xent",
        projector=layers.ProjectionHead(4, hidden_dim=5),
        augmentation=augment.simclr(image_size=6, channels=2),
    )


def image_batches():
    images = np.random.default_rng(0).integers(0, 256, (16, 6, 6, 2), "uint8")
    return data.batches(images, batch_size=8, seed=0)


class AugmentationTest(TestCase):
    """Views are made outside of what XLA compiles, which cannot compile these."""

    @pytest.mark.parametrize("jit_compile", [True, "auto"])
    def test_same_views_as_without_xla(self, jit_compile, monkeypatch, recwarn):
        histories = []
        for choice in (False, jit_compile):
            keras.utils.set_random_seed(3)
            model = augmented_pretrainer()
            with monkeypatch.context() as patch:
                patch.setattr(tf.config, "list_physical_devices", lambda *_: [GPU])
                model.compile(keras.optimizers.SGD(0.05), jit_compile=choice)
            histories.append(model.fit(image_batches(), verbose=0).history)
            assert model.jit_compile is bool(choice)
        for name, values in histories[0].items():
            self.assert_close(histories[1][name], values, rtol=1e-4, atol=1e-5)
        assert not [w for w in recwarn if "XLA" in str(w.message)]

    def test_evaluates(self):
        results = []
        for jit_compile in (False, True):
            keras.utils.set_random_seed(3)
            model = augmented_pretrainer()
            model.compile(keras.optimizers.SGD(0.05), jit_compile=jit_compile)
            found = model.evaluate(image_batches(), verbose=0, return_dict=True)
            results.append(found)
            assert model.jit_compile is jit_compile
        assert results[0] == results[1]

    def test_under_a_strategy_of_one_device_the_whole_is_compiled(self):
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            model = augmented_pretrainer()
            model.compile("sgd", jit_compile=True)
        with pytest.raises(ValueError, match="XLA cannot compile this step"):
            model.fit(image_batches(), verbose=0)


class RefusalTest(TestCase):
    def test_what_cannot_be_compiled(self):
        model = pretrainer("ssl", through_strings)
        model.compile("sgd", jit_compile=True)
        before = model.get_weights()
        with pytest.raises(ValueError, match=r"XLA cannot compile.*`AsString`.*=False"):
            model.fit(dataset(), verbose=0)
        for weights, others in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(others, weights)

    def test_other_errors_stay_as_they_are(self):
        model = pretrainer("ssl")
        model.compile("sgd", jit_compile=True)
        model.nonfinite_patience = 0
        views = np.stack(tiny.views())
        views[0, 0] = np.nan
        with pytest.raises((FloatingPointError, ValueError), match="view_1"):
            model.fit(*views, batch_size=8, verbose=0)

    def test_several_replicas(self):
        with replicas.mirrored(2).scope():
            model = pretrainer("ssl")
            with pytest.raises(ValueError, match=r"one device.*2 replicas"):
                model.compile("sgd", jit_compile=True)

    def test_unknown_choice(self):
        with pytest.raises(ValueError, match=r'`True`, `False` or "auto".*always'):
            pretrainer("ssl").compile("sgd", jit_compile="always")

    def test_several_steps_per_execution(self):
        model = pretrainer("ssl")
        model.compile("sgd", jit_compile=True, steps_per_execution=2)
        model.fit(dataset(4), verbose=0)
        assert model.optimizer.iterations == 4
