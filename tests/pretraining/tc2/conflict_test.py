import keras
import numpy as np
import pytest

import keras_tc2 as tc2
from keras_tc2 import bilevel
from tests import tiny
from tests.test_case import TestCase


def pretrainer(**options):
    encoder = tc2.encoders.create("convnet", input_shape=tiny.IMAGE_SHAPE, widths=(4,))
    return tc2.TC2Pretrainer(
        encoder,
        objective="nt_xent",
        projector=tc2.layers.ProjectionHead(4),
        **{**tiny.WHOLE_TC2, **options},
    )


def batches(number=3, batch_size=16):
    generator = np.random.default_rng(0)
    shape = (number, 2, batch_size, *tiny.IMAGE_SHAPE)
    return [tuple(views) for views in generator.uniform(size=shape).astype("float32")]


class ConflictTest(TestCase):
    def test_blocks_are_compared_between_batches(self):
        model, given = pretrainer(task_assignment="blocks"), batches()
        found = model.conflict(given, num_bootstraps=10, level=0.9, seed=3)
        assert found.num_batches == 3 and found.level == 0.9
        # The whole tasks' gradients, which `diagnose` gives the cosines of.
        cosines = [np.asarray(model.task_gradient_cosines(*batch)) for batch in given]
        seen = []

        def watched(gradients, **options):
            seen.append(gradients)
            return bilevel_class(gradients, **options)

        bilevel_class = bilevel.TaskConflict
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bilevel, "TaskConflict", watched)
            model.conflict(given)
        for gradients, expected in zip(seen[0], cosines, strict=True):
            (whole,) = gradients
            unit = whole / np.linalg.norm(whole, axis=1, keepdims=True)
            self.assert_close(unit @ unit.T, expected, rtol=1e-3, atol=1e-4)

    def test_clusters_are_compared_by_disjoint_halves(self):
        model = pretrainer(task_assignment="cluster", calibration="none")
        found = model.conflict(batches())
        assert found.cosines is None and -1 <= found.interval[0] <= found.interval[1]

    def test_changes_nothing(self):
        model = pretrainer()
        model.compile(keras.optimizers.SGD(0.1))
        before = [np.array(variable) for variable in model.variables]
        model.conflict(batches())
        for old, variable in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, np.array(variable))

    def test_leaves_the_epochs_of_the_data_to_fit(self):
        images = np.random.default_rng(0).random((16, *tiny.IMAGE_SHAPE), "float32")
        views = tc2.data.two_views(images, batch_size=4)
        first = next(iter(tc2.data.two_views(images, batch_size=4)))
        taken = views.take(3)
        found = pretrainer(task_assignment="blocks").conflict(taken)
        assert found.num_batches == 3
        np.testing.assert_array_equal(next(iter(views))[0], first[0])

    def test_needs_images_and_batches(self):
        with pytest.raises(ValueError, match="at least four images a task"):
            pretrainer(task_assignment="cluster").conflict(batches(batch_size=4))
        with pytest.raises(ValueError, match="at least two batches"):
            pretrainer(task_assignment="blocks").conflict(batches(number=1))
