"""What every loss refuses: unlike shapes, too few images, numbers out of range."""

import re

import keras
import numpy as np
import pytest

from keras_tc2 import SSLPretrainer, TC2Pretrainer, objectives
from keras_tc2.pretraining import Batch
from tests import replicas, tiny
from tests.objectives import loss_checks
from tests.test_case import TestCase

PAIR = ("embeddings_1", "embeddings_2")
TARGETS = ("predictions_1", "predictions_2", "targets_1", "targets_2")
KEYS = ("queries_1", "queries_2", "keys_1", "keys_2")
WEIGHTS = {"invariance_weight": 1, "variance_weight": 1, "covariance_weight": 1}
DINO = {"student_temperature": 0.1, "teacher_temperature": 0.1}
SWAV = {"temperature": 0.1, "epsilon": 0.5, "num_iterations": 2}


def listed(function):
    """A function of two lists as one of its four tensors."""
    return lambda a, b, c, d, **kwargs: function([a, b], [c, d], **kwargs)


# name: (loss of arrays (batch, dim), number of arrays, numbers it takes)
LOSSES = {
    "barlow_twins": (objectives.barlow_twins, PAIR, {"redundancy_weight": 1}),
    "byol": (objectives.byol, TARGETS, {}),
    "dcl": (objectives.dcl, PAIR, {"temperature": 0.2, "sigma": 0.5}),
    "dino": (listed(objectives.dino), range(4), DINO),
    "moco_v3": (objectives.moco_v3, KEYS, {"temperature": 0.2}),
    "nt_xent": (objectives.nt_xent, PAIR, {"temperature": 0.2}),
    "simsiam": (objectives.simsiam, TARGETS, {}),
    "swav": (listed(objectives.swav), range(4), SWAV),
    "vicreg": (objectives.vicreg, PAIR, WEIGHTS),
}
# Of (batch, height, width, channels), below.
OF_IMAGES = {"sim_mim"}
COMPARE_IMAGES = [
    name for name in objectives.names() if objectives.get(name).needs.min_batch_size > 1
]


class LossesTest(TestCase):
    def test_every_objective_is_here(self):
        assert sorted({*LOSSES, *OF_IMAGES}) == objectives.names()

    @pytest.mark.parametrize("name", list(LOSSES))
    @pytest.mark.parametrize("shape", [(6, 1), (1, 4), (4,), (6, 4, 1), (5, 4), (1, 1)])
    def test_refuses_unlike_shapes(self, name, shape):
        loss, arguments, numbers = LOSSES[name]
        for position in range(len(arguments)):
            arrays = loss_checks.arrays(len(arguments), batch=6, dim=4)
            arrays[position] = np.ones(shape)
            with pytest.raises(ValueError, match="all of the same shape") as caught:
                loss(*arrays, **numbers)
            assert str(shape) in str(caught.value) and "(6, 4)" in str(caught.value)

    @pytest.mark.parametrize("name", list(LOSSES))
    def test_smallest_batch(self, name):
        loss, arguments, numbers = LOSSES[name]
        smallest = objectives.get(name).needs.min_batch_size
        arrays = loss_checks.arrays(len(arguments), batch=smallest, dim=4)
        assert np.isfinite(loss(*arrays, **numbers))
        if smallest > 1:
            with pytest.raises(ValueError, match=r"at least 2\..*\(1, 4\)"):
                loss(*(array[:1] for array in arrays), **numbers)

    @pytest.mark.parametrize("name", list(LOSSES))
    def test_nan_is_never_hidden(self, name):
        loss, arguments, numbers = LOSSES[name]
        for position in range(len(arguments)):
            arrays = loss_checks.arrays(len(arguments), dtype="float32")
            arrays[position][2, 1] = np.nan
            assert np.isnan(loss(*arrays, **numbers)), position

    @pytest.mark.parametrize("name", list(LOSSES))
    def test_numbers_out_of_range(self, name):
        loss, arguments, numbers = LOSSES[name]
        arrays = loss_checks.arrays(len(arguments))
        for number in numbers:
            with pytest.raises(ValueError, match=f"`{number}` must be"):
                loss(*arrays, **{**numbers, number: -1})

    def test_a_learned_temperature_may_pass(self):
        a, b = loss_checks.arrays(2, dtype="float32")
        expected = objectives.nt_xent(a, b, temperature=0.5)
        learned = keras.Variable(0.5)
        self.assert_close(objectives.nt_xent(a, b, temperature=learned), expected)

    def test_sim_mim(self):
        images, masks = np.ones((3, 4, 4, 2)), np.ones((3, 4, 4, 1))
        for arguments in [
            (images, images[..., :1], masks),
            (images, images, masks[:1]),
            (images, images, masks[..., 0]),
            (images, images, np.ones((3, 4, 4, 2))),
        ]:
            with pytest.raises(ValueError, match="all of the same shape"):
                objectives.sim_mim(*arguments)
        broken = images.copy()
        broken[1, 2, 3, 0] = np.nan
        assert np.isnan(objectives.sim_mim(broken, images, masks))

    def test_lists_of_views(self):
        (a,) = loss_checks.arrays(1)
        for students, teachers in [([a], [a]), ([a, a], []), ([a, a], [a, a, a])]:
            with pytest.raises(ValueError, match="at least two views"):
                objectives.dino(students, teachers, **DINO)
            with pytest.raises(ValueError, match="at least two views"):
                objectives.swav(students, teachers, **SWAV)

    def test_sinkhorn(self):
        with pytest.raises(ValueError, match="same shape"):
            objectives.sinkhorn(np.ones(4), epsilon=0.1, num_iterations=1)


class PretrainersTest(TestCase):
    """One image, where images are compared: refused before the first step."""

    @pytest.mark.parametrize("name", COMPARE_IMAGES)
    def test_one_image(self, name):
        model = SSLPretrainer(tiny.encoder(), objective=name)
        kind = re.escape(type(model.objective).__name__)
        model.compile("sgd")
        with pytest.raises(ValueError, match=rf"{kind}.*`batch_size`.*1 image\(s\)"):
            model.fit(*tiny.views(1), batch_size=1, verbose=0)

    def test_one_image_of_a_task(self):
        for objective in ("nt_xent", objectives.BYOL(hidden_dim=3)):
            model = TC2Pretrainer(tiny.encoder(), objective=objective, num_tasks=4)
            with pytest.raises(ValueError, match="Every task needs 2 images or more"):
                model.value_and_gradients(*tiny.views(4))

    def test_an_objective_of_a_guest_says_what_it_needs(self):
        class OfFour(objectives.NTXent):
            needs = objectives.Needs(min_batch_size=4)

        model = SSLPretrainer(tiny.encoder(), objective=OfFour())
        with pytest.raises(ValueError, match="at least 4 images a replica"):
            model.value_and_gradients(*tiny.views(3))
        model = TC2Pretrainer(tiny.encoder(), objective=OfFour(), num_tasks=2)
        with pytest.raises(ValueError, match="Every task needs 4 images"):
            model.value_and_gradients(*tiny.views(6))
        with pytest.raises(ValueError, match="`min_batch_size` must be an integer"):
            objectives.Needs(min_batch_size=0)

    def test_replicas_together_have_enough(self):
        """With `gather` the loss sees both replicas' images; without, one each."""
        for gather, refused in [(True, False), (False, True)]:
            strategy = replicas.strategy(2)
            with strategy.scope():
                model = SSLPretrainer(
                    tiny.encoder(), objective=objectives.NTXent(gather=gather)
                )
                model.compile("sgd")
            views = [
                replicas.per_replica(strategy, [view[:1], view[1:]])
                for view in tiny.views(2)
            ]

            def check(view_1, view_2, model=model):
                model.check_batch(Batch((view_1, view_2)))

            if refused:
                with pytest.raises(ValueError, match="at least 2 images a replica"):
                    strategy.run(check, args=views)
            else:
                strategy.run(check, args=views)
