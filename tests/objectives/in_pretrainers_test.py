"""Every objective in both pretrainers, which know none of them by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import layers, objectives
from keras_tc2.encoders import Encoder
from keras_tc2.pretraining import Batch, SSLPretrainer, TC2Pretrainer
from tests import tiny
from tests.objectives.small import small
from tests.test_case import TestCase

OBJECTIVES = {name: small(name) for name in objectives.names()}
# A head with a momentum target, one with the model's own, prototypes, and masks.
EACH_KIND = ["byol", "simsiam", "swav", "dino", "sim_mim"]
# One scope of each in the plain run: a head is differentiated through both by others,
# and the other half takes half a minute to trace.
PLAIN_SCOPES = {
    "byol": "encoder",
    "simsiam": "projector",
    "swav": "projector",
    "dino": "encoder",
    "sim_mim": "projector",
}


class Pinned:
    """Holds still what is detached: a central difference would move it."""

    pinned = None
    pinned_targets = None

    def _detach(self, embeddings):
        if self.pinned is None:
            self.pinned = np.array(embeddings)
        return tf.constant(self.pinned)

    def _detach_targets(self, targets):
        if self.pinned_targets is None:
            self.pinned_targets = [np.array(target) for target in targets]
        return [tf.constant(target) for target in self.pinned_targets]


class PinnedSSL(Pinned, SSLPretrainer):
    """The baseline with pinned targets."""


class PinnedTC2(Pinned, TC2Pretrainer):
    """TC² with pinned targets and pinned factors."""


def pretrainer(kind, objective, **arguments):
    if issubclass(kind, TC2Pretrainer):
        arguments = {**tiny.WHOLE_TC2, "inner_learning_rate": 0.05, **arguments}
    model = kind(
        tiny.encoder(),
        objective=objective,
        projector=layers.ProjectionHead(4, hidden_dim=5),
        **arguments,
    )
    tiny.move_off_the_start(model.trainable_variables)
    return model


class GradientsTest(TestCase):
    """Of every variable, head included, against float64 central differences."""

    @pytest.mark.parametrize("name", list(OBJECTIVES))
    def test_ssl(self, float64, name):
        self.check(pretrainer(PinnedSSL, OBJECTIVES[name]))

    @pytest.mark.parametrize(
        ("name", "scope"),
        [
            pytest.param(
                name, scope, marks=[pytest.mark.slow] * (scope != PLAIN_SCOPES[name])
            )
            for name in EACH_KIND
            for scope in ("projector", "encoder")
        ],
    )
    def test_tc2_second_order(self, float64, name, scope):
        model = pretrainer(PinnedTC2, OBJECTIVES[name], inner_scope=scope)
        assert model.head.trainable_variables
        self.check(model)

    @pytest.mark.parametrize("name", ["simsiam"])
    def test_tc2_calibrated_base_term(self, float64, name):
        self.check(pretrainer(PinnedTC2, OBJECTIVES[name], calibrate_base=True))

    def check(self, model):
        views = tiny.views(dtype="float64")
        losses, gradients = model.value_and_gradients(*views)

        @tf.function(autograph=False)
        def loss():
            return model.compute_losses(Batch(views), training=True)[0]["loss"]

        # Tasks that run one after the other eagerly are batched in the graph.
        self.assert_close(losses["loss"], loss(), rtol=1e-10)
        self.check_gradients(loss, model.trainable_variables, gradients, directions=2)


class TC2Test(TestCase):
    @pytest.mark.parametrize("scope", ["projector", "encoder"])
    @pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - set(EACH_KIND)))
    def test_usable(self, name, scope):
        model = pretrainer(TC2Pretrainer, OBJECTIVES[name], inner_scope=scope)
        losses, gradients = model.value_and_gradients(*tiny.views())
        assert set(losses) == set(model.loss_names)
        assert all(np.isfinite(value) for value in losses.values())
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)

    @pytest.mark.parametrize("name", EACH_KIND)
    def test_is_base_ssl_when_all_is_off(self, name):
        objective = OBJECTIVES[name]
        off = {"calibration": "none", "transfer_weight": 0.0}
        tc2 = pretrainer(TC2Pretrainer, objective, **off)
        ssl = pretrainer(SSLPretrainer, objective)
        ssl.set_weights(tc2.get_weights())
        losses, gradients = tc2.value_and_gradients(*tiny.views())
        expected, expected_gradients = ssl.value_and_gradients(*tiny.views())
        assert float(losses["loss"]) == float(expected["loss"])
        for a, b in zip(gradients, expected_gradients, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_targets_are_split_with_their_images(self):
        """Equal weights, no inner step, no calibration: the tasks' own base losses."""
        views = tiny.views()
        model = pretrainer(
            TC2Pretrainer,
            objectives.SimSiam(batch_normalization=False),
            num_inner_steps=0,
            calibration="none",
        )
        losses, _ = model.value_and_gradients(*views)
        forward = model.forward(views, training=True)
        # With batch statistics of a task in the projector.
        expected = []
        for block in (slice(0, 4), slice(4, 8)):
            features = np.concatenate([np.asarray(h)[block] for h in forward.features])
            embeddings = model.projector(features, training=True)
            predictions = np.split(np.asarray(model.head(embeddings)), 2)
            targets = [np.asarray(target)[block] for target in forward.targets]
            expected.append(objectives.simsiam(*predictions, *targets))
        self.assert_close(losses["outer_loss"], np.mean(expected), rtol=1e-4)


class MultiCropTest(TestCase):
    def views(self, local_side=4, num_local=2):
        rng = np.random.default_rng(5)
        shape = (num_local, 8, local_side, local_side, tiny.IMAGE_SHAPE[2])
        return (*tiny.views(), *rng.random(shape).astype("float32"))

    @pytest.mark.parametrize("kind", [SSLPretrainer, TC2Pretrainer])
    @pytest.mark.parametrize("name", ["dino", "swav"])
    def test_local_views_take_part(self, kind, name):
        model = pretrainer(kind, OBJECTIVES[name])
        views = self.views()
        losses, gradients = model.value_and_gradients(*views)
        assert np.isfinite(losses["loss"])
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
        other, _ = model.value_and_gradients(*views[:2], *(1 - v for v in views[2:]))
        assert abs(float(other["loss"] - losses["loss"])) > 1e-4

    def test_fit(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["swav"])
        model.compile("sgd")
        data = tf.data.Dataset.from_tensors((*self.views(), np.zeros(8, "int32")))
        assert np.isfinite(model.fit(data, verbose=0).history["loss"][0])

    def test_local_views_are_resized_to_the_encoder(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["dino"])
        forward = model.forward(self.views(local_side=3), training=True)
        assert forward.groups == [2, 2]
        assert {tuple(view.shape[1:]) for view in forward.views} == {tiny.IMAGE_SHAPE}
        assert len(forward.outputs) == 4
        assert len(forward.targets) == 2

    def test_an_encoder_of_any_size_sees_local_views_as_they_are(self):
        images = keras.Input((None, None, 2))
        x = keras.layers.Conv2D(4, 3, activation="softplus")(images)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = SSLPretrainer(
            Encoder.wrap(keras.Model(images, x)), objective=OBJECTIVES["dino"]
        )
        views = self.views(local_side=4)
        forward = model.forward(views, training=True)
        assert [view.shape[1] for view in forward.views] == [6, 6, 4, 4]
        losses, _ = model.value_and_gradients(*views)
        assert np.isfinite(losses["loss"])

    def test_only_for_objectives_that_take_it(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["byol"])
        with pytest.raises(ValueError, match=r"view_1, view_2\).*Received: 4 view"):
            model.value_and_gradients(*self.views())

    def test_refuses_local_views_of_another_batch(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["dino"])
        *views, last = self.views()
        with pytest.raises(ValueError, match=r"same number of images.*view_4"):
            model.value_and_gradients(*views, last[:4])


class MaskedTest(TestCase):
    def test_one_view_is_enough(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["sim_mim"])
        model.compile(keras.optimizers.Adam(0.01))
        data = tf.data.Dataset.from_tensors(tiny.views()[0])
        history = model.fit(data.repeat(4), verbose=0).history
        assert np.isfinite(history["loss"][0])
        assert int(model.updates) == 4

    def test_one_view_is_enough_for_tasks(self):
        model = pretrainer(TC2Pretrainer, OBJECTIVES["sim_mim"])
        losses, gradients = model.value_and_gradients(tiny.views()[0])
        assert np.isfinite(losses["loss"])
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)

    def test_encoder_sees_masked_views(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["sim_mim"])
        views = tiny.views()
        forward = model.forward(views, training=True)
        for view, seen, target in zip(
            views, forward.views, forward.targets, strict=True
        ):
            hidden = np.asarray(target["masks"])[..., 0] == 1
            np.testing.assert_array_equal(np.asarray(seen)[~hidden], view[~hidden])
            assert np.max(np.abs(np.asarray(seen)[hidden] - view[hidden])) > 0.1
            np.testing.assert_array_equal(target["pixels"], view)

    def test_masks_change_with_every_update_alone(self):
        model = pretrainer(SSLPretrainer, OBJECTIVES["sim_mim"])
        model.compile(keras.optimizers.SGD(0.0))
        views = tiny.views()

        def masks():
            return np.asarray(model.forward(views, training=True).targets[0]["masks"])

        before = masks()
        np.testing.assert_array_equal(masks(), before)
        model.train_on_batch(*views)
        assert np.any(masks() != before)


class ObjectiveOfAGuestTest(TestCase):
    def test_two_embeddings_are_enough(self):
        class Distance(objectives.Objective):
            def compute_loss(self, embeddings_1, embeddings_2):
                return keras.ops.mean((embeddings_1 - embeddings_2) ** 2)

        model = pretrainer(TC2Pretrainer, Distance())
        losses, _ = model.value_and_gradients(*tiny.views())
        assert np.isfinite(losses["loss"])

    def test_needs_are_checked(self):
        with pytest.raises(ValueError, match="`target` must be one of"):
            objectives.Needs(target="queue")
