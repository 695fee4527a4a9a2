"""What objectives and layers show of their arguments."""

import keras

from keras_tc2 import augment, layers, objectives
from keras_tc2.optimizers import MomentumSchedule
from tests.test_case import TestCase


def halved(embeddings_1, embeddings_2):
    return keras.ops.mean(embeddings_1 * embeddings_2) / 2


class Scaled(objectives.NTXent):
    """One of a user, with an argument that is in no attribute and no config."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)


class ObjectivesTest(TestCase):
    def test_the_defaults_of_every_objective_are_left_out(self):
        for name in objectives.names():
            objective = objectives.get(name)
            assert repr(objective) == f"{type(objective).__name__}()"

    def test_what_was_given_is_the_call(self):
        made = objectives.VICReg(10.0, covariance_weight=2.0, gather=True)
        assert repr(made) == (
            "VICReg(invariance_weight=10.0, covariance_weight=2.0, gather=True)"
        )
        assert eval(repr(made), vars(objectives)).get_config() == made.get_config()

    def test_objects_and_functions_inside(self):
        momentum = MomentumSchedule(0.9, 100)
        assert repr(objectives.BYOL(momentum=momentum)) == (
            "BYOL(momentum=MomentumSchedule(start=0.9, num_steps=100))"
        )
        assert repr(objectives.get(halved)) == "FunctionObjective(function=halved)"

    def test_a_subclass_shows_what_it_keeps(self):
        assert repr(Scaled(2.0, temperature=0.5)) == "Scaled(temperature=0.5)"


class LayersTest(TestCase):
    def test_defaults_are_left_out(self):
        shown = repr(layers.ProjectionHead(name="head"))
        assert shown == "<ProjectionHead name=head, built=False>"
        head = layers.ClassificationHead(3, name="head")
        assert (
            repr(head) == "<ClassificationHead name=head, built=False, num_classes=3>"
        )

    def test_what_was_given(self):
        head = layers.ClassificationHead(
            3, kernel_initializer=keras.initializers.GlorotUniform(seed=1), name="head"
        )
        assert "num_classes=3, kernel_initializer=<" in repr(head)
        calibrator = layers.TaskCalibrator(
            4,
            num_factors=8,
            factors_from_batch=False,
            calibration="residual",
            nonnegative_weights=False,
            task_embedding=True,
            weights_per="sample",
            name="calibrator",
        )
        assert repr(calibrator) == (
            "<TaskCalibrator name=calibrator, built=False, num_tasks=4, num_factors=8, "
            "factors_from_batch=False, calibration='residual', "
            "nonnegative_weights=False, task_embedding=True, weights_per='sample'>"
        )

    def test_pairs_at_their_defaults_and_layers_inside(self):
        recipe = augment.Pipeline(
            [
                augment.RandomGrayscale(probability=0.5, name="grey"),
                augment.RandomResizedCrop(8, area_range=[0.08, 1.0], name="crop"),
            ],
            name="recipe",
        )
        assert repr(recipe) == (
            "<Pipeline name=recipe, built=False, layers=["
            "<RandomGrayscale name=grey, built=False, probability=0.5>, "
            "<RandomResizedCrop name=crop, built=False, size=8>]>"
        )
