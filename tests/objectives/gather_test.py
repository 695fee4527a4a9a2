"""With `gather=True`, replicas that share a batch do what one device does."""

import keras
import pytest
import tensorflow as tf

from keras_tc2 import layers, objectives
from keras_tc2.pretraining import SSLPretrainer
from tests import replicas, tiny
from tests.objectives.small import small
from tests.test_case import TestCase

OBJECTIVES = {name: small(name, gather=True) for name in objectives.names()}
# Those that draw, or keep a state, over replicas.
FOUR_REPLICAS = ["dino", "sim_mim"]
# They gather embeddings and targets as NT-Xent, VICReg and BYOL do.
LIKE_ANOTHER = ["barlow_twins", "dcl", "moco_v3", "simsiam"]


def trained(objective, num_replicas):
    """Losses of two updates, and all weights after them."""
    keras.utils.set_random_seed(3)
    with replicas.strategy(num_replicas).scope():
        # Without batch statistics, so that the objective alone looks across images.
        encoder = tiny.encoder(lambda name: keras.layers.Activation("tanh", name=name))
        projector = layers.ProjectionHead(4, batch_normalization=False)
        model = SSLPretrainer(encoder, objective=objective, projector=projector)
        model.compile(keras.optimizers.SGD(0.1))
    batches = [tf.data.Dataset.from_tensor_slices(tiny.views(seed=s)) for s in (0, 1)]
    data = batches[0].concatenate(batches[1]).batch(8, drop_remainder=True)
    losses = model.fit(data, verbose=0).history["loss"]
    return losses, model.get_weights()


class GatherTest(TestCase):
    @pytest.mark.parametrize(
        ("name", "num_replicas"),
        [
            pytest.param(
                name,
                4 if name in FOUR_REPLICAS else 2,
                marks=[pytest.mark.slow] * (name in LIKE_ANOTHER),
            )
            for name in OBJECTIVES
        ],
    )
    def test_replicas_equal_one_device(self, name, num_replicas):
        self.check(name, num_replicas)

    @pytest.mark.slow(reason="each objective is tested with the other number")
    @pytest.mark.parametrize(
        ("name", "num_replicas"),
        [(name, 2 if name in FOUR_REPLICAS else 4) for name in OBJECTIVES],
    )
    def test_another_number_of_replicas_equals_one_device(self, name, num_replicas):
        self.check(name, num_replicas)

    def check(self, name, num_replicas):
        losses, weights = trained(OBJECTIVES[name], 1)
        actual_losses, actual_weights = trained(OBJECTIVES[name], num_replicas)
        self.assert_close(actual_losses, losses, rtol=1e-4, atol=1e-5)
        for a, b in zip(actual_weights, weights, strict=True):
            self.assert_close(a, b, rtol=1e-3, atol=1e-5)

    def test_without_gather_they_differ(self):
        objective = objectives.NTXent()
        alone, shared = (trained(objective, n)[0][0] for n in (1, 2))
        assert abs(alone - shared) > 0.1
