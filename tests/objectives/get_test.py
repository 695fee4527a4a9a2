import functools
import json

import keras
import numpy as np
import pytest

from keras_tc2 import objectives
from keras_tc2.bilevel.task_assignment import get_task_assignment
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from keras_tc2.transfer import registry as protocols
from tests import tiny
from tests.test_case import TestCase


@keras.saving.register_keras_serializable(package="tests")
def squared_distance(embeddings_1, embeddings_2):
    return keras.ops.mean(keras.ops.square(embeddings_1 - embeddings_2))


@keras.saving.register_keras_serializable(package="tests")
def scaled_distance(scale, embeddings_1, embeddings_2, power=2):
    return scale * keras.ops.mean((embeddings_2 - embeddings_1) ** power)


def needs_three(a, b, c):
    return a + b + c


class GetTest(TestCase):
    @pytest.mark.parametrize("given", [objectives.NTXent, objectives.nt_xent])
    def test_a_class_or_its_function_is_made(self, given):
        made = objectives.get(given)
        assert type(made) is objectives.NTXent
        assert made.get_config() == objectives.NTXent().get_config()

    def test_a_function_is_wrapped_and_saved(self):
        model = SSLPretrainer(tiny.encoder(), objective=squared_distance)
        z = np.arange(6, dtype="float32").reshape(2, 3)
        assert float(model.objective(z, z + 2)) == 4
        again = SSLPretrainer.from_config(model.get_config())
        assert again.objective.function is squared_distance
        assert again.objective.get_config() == model.objective.get_config()

    def test_a_partial_function_is_saved_with_its_arguments(self):
        partial = functools.partial(scaled_distance, 3.0, power=3)
        model = SSLPretrainer(tiny.encoder(), objective=partial)
        z = np.arange(6, dtype="float32").reshape(2, 3)
        assert float(model.objective(z, z + 2)) == 24
        config = json.loads(json.dumps(model.get_config()))
        again = SSLPretrainer.from_config(config).objective
        assert float(again(z, z + 2)) == 24
        assert again.get_config() == model.objective.get_config()

    def test_one_loss_an_image_is_refused(self):
        model = SSLPretrainer(tiny.encoder(), objective=keras.losses.cosine_similarity)
        message = r"cosine_similarity.* must return a scalar.*shape \(8,\)"
        with pytest.raises(ValueError, match=message):
            model.value_and_gradients(*tiny.views())

    def test_a_function_of_three_is_refused(self):
        with pytest.raises(ValueError, match=r"embeddings_1, embeddings_2.*needs_thr"):
            objectives.get(needs_three)

    @pytest.mark.parametrize(
        ("get", "given", "meant"),
        [
            (objectives.get, "simclr", "nt_xent"),
            (objectives.get, "VIC-Reg", "vicreg"),
            (get_task_assignment, "clusters", "cluster"),
            (protocols.get, "k-nn", "knn"),
        ],
    )
    def test_the_nearest_name(self, get, given, meant):
        with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
            get(given)

    def test_one_protocol_is_no_sequence_of_letters(self):
        (protocol,) = protocols.get_all("knn")
        assert type(protocol) is protocols.KNN
        with pytest.raises(ValueError, match="at least one"):
            protocols.get_all([])

    def test_calibration_may_be_none(self):
        with pytest.raises(ValueError, match=r"'none'.*calibration='zzz'"):
            TC2Pretrainer(tiny.encoder(), objective="nt_xent", calibration="zzz")
