import inspect
import math
import types
import warnings

import numpy as np
import pytest
from packaging.version import Version

import keras_tc2 as tc2
from keras_tc2.deprecation import GONE_IN, old_arguments, old_method, old_names
from keras_tc2.transfer import video
from keras_tc2.version import __version__
from tests.test_case import TestCase


def module_with_an_old_name():
    module = types.ModuleType("room")
    module.__all__ = ["new"]
    module.new = 1
    module.__getattr__ = old_names("room", {"pi": ("math", "`math.pi`")})
    return module


@old_arguments(lr="learning_rate", tau="temperature")
def step(loss, *, learning_rate=0.1, temperature=1.0):
    """Says what it was given."""
    return loss, learning_rate, temperature


class OldNamesTest(TestCase):
    def test_the_release_in_which_they_are_gone_is_to_come(self):
        assert Version(__version__) < Version(GONE_IN)

    def test_an_old_name_works_and_says_what_to_write(self):
        module = module_with_an_old_name()
        message = rf"`room\.pi` is deprecated.*keras_tc2 {GONE_IN}: write `math\.pi` in"
        with pytest.warns(DeprecationWarning, match=message) as caught:
            assert module.pi == math.pi
        assert caught[0].filename == __file__
        assert "pi" not in dir(module)

    def test_other_names_are_as_without_it(self):
        module = module_with_an_old_name()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert module.new == 1
            assert not hasattr(module, "e")
        with pytest.raises(AttributeError, match="module 'room' has no attribute 'e'"):
            _ = module.e


# What `__all__` of these rooms held in 0.2.0.
PUBLIC_IN_0_2 = {
    "bilevel": """SOLVERS BlockAssignment ClusterAssignment GivenAssignment
        Hypergradient TaskAssignment TaskConflict adapt checked_order
        conjugate_gradient finite_difference first_order get_task_assignment
        mean_off_diagonal mean_transfer_losses neumann pairwise_cosines partners
        proximal_hypergradient split_tasks task_of_each transfer_losses unrolled
        value_and_gradients""",
    "hub": """CARD_FILE CLASSIFIER_FOLDER CONFIG_FILE MAX_LIST PICTURES_FOLDER
        PRETRAINER_FOLDER SAFETENSORS_FILE WEIGHTS_FILE ConfigError FolderError
        HubError NotAnEncoderError UnsafeFileError WeightsError as_model
        build_with_weights card_text check_plain fetch_folder push_folder read_config
        save_weights write_card write_config write_safetensors""",
    "provenance": "commit machine processor",
}


class RoomsTest(TestCase):
    @pytest.mark.parametrize("room", PUBLIC_IN_0_2)
    def test_every_name_of_the_last_release_is_public_or_warns(self, room):
        module = getattr(tc2, room)
        for name in PUBLIC_IN_0_2[room].split():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert getattr(module, name) is not None
            assert [each.category for each in caught] == [DeprecationWarning] * (
                name not in module.__all__
            )


class OldArgumentsTest(TestCase):
    def test_an_old_argument_works_and_says_what_to_write(self):
        message = r"`step\(lr=\)` is deprecated.*write `learning_rate=` instead"
        with pytest.warns(DeprecationWarning, match=message) as caught:
            assert step(2, lr=0.5) == (2, 0.5, 1.0)
        assert [each.filename for each in caught] == [__file__]
        with pytest.warns(DeprecationWarning) as caught:
            assert step(2, lr=0.5, tau=3.0) == (2, 0.5, 3.0)
        assert len(caught) == 2

    def test_new_arguments_are_as_without_it(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert step(2, learning_rate=0.5) == (2, 0.5, 1.0)
            assert step(loss=2) == (2, 0.1, 1.0)
        assert list(inspect.signature(step).parameters) == [
            "loss",
            "learning_rate",
            "temperature",
        ]
        assert step.__doc__ == "Says what it was given."

    def test_refuses_both_and_a_new_name_that_is_none(self):
        with pytest.raises(TypeError, match=r"takes `learning_rate` alone.*both"):
            step(2, lr=0.5, learning_rate=0.5)
        with pytest.raises(ValueError, match=r"arguments of `step`. Received: \['x'\]"):
            old_arguments(lr="x")(step)


class OldMethodTest(TestCase):
    def test_an_old_method_works_and_says_what_to_write(self):
        class Model:
            def fit(self, x, *, times):
                return x * times

            train = old_method("train", "fit")

        with pytest.warns(DeprecationWarning, match=r"`Model\.train`.*write `fit`"):
            assert Model().train(2, times=3) == 6


class BritishSpellingTest(TestCase):
    """Public names are spelled as in Keras; the old spelling works and warns."""

    def test_dino_of_an_old_config(self):
        config = {**tc2.objectives.DINO(center_momentum=0.5).get_config()}
        config["centre_momentum"] = config.pop("center_momentum")
        with pytest.warns(DeprecationWarning, match="center_momentum"):
            assert tc2.objectives.DINO.from_config(config).center_momentum == 0.5

    def test_dino_names_itself_and_has_its_attribute(self):
        with pytest.warns(DeprecationWarning, match=r"`DINO\(centre_momentum=\)`"):
            objective = tc2.objectives.DINO(centre_momentum=0.5)
        with pytest.warns(DeprecationWarning, match="`center_momentum`") as caught:
            assert objective.centre_momentum == 0.5
        assert caught[0].filename == __file__

    def test_regularizers(self):
        calibrator = tc2.layers.TaskCalibrator(
            2,
            num_factors=3,
            factors_from_batch=True,
            calibration="residual",
            nonnegative_weights=False,
            task_embedding=True,
            weights_per="sample",
        )
        z = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
        parts = calibrator(z, np.array([0, 0, 1, 1]))
        arguments = parts["factors"], z, parts["weights"]
        with pytest.warns(DeprecationWarning, match="regularizers"):
            old = calibrator.regularisers(*arguments)
        for name, value in calibrator.regularizers(*arguments).items():
            np.testing.assert_array_equal(value, old[name])

    def test_num_neighbors(self):
        maps = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
        labels = np.eye(2)[np.arange(9).reshape(3, 3) % 2]
        with pytest.warns(DeprecationWarning, match="num_neighbors"):
            old = video.propagate(maps, labels, num_neighbours=2)
        np.testing.assert_array_equal(
            old, video.propagate(maps, labels, num_neighbors=2)
        )
        message = r"`LabelPropagation\(num_neighbours=\)`.*write `num_neighbors=`"
        with pytest.warns(DeprecationWarning, match=message) as caught:
            protocol = video.LabelPropagation(num_neighbours=2)
        assert protocol.options["num_neighbors"] == 2
        assert caught[0].filename == __file__
        with pytest.raises(TypeError, match="both"):
            video.LabelPropagation(num_neighbours=2, num_neighbors=2)
