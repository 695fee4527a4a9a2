import pytest
import tensorflow as tf

from benchmarks import hops
from keras_tc2 import bilevel
from tests.test_case import TestCase


@pytest.fixture(scope="module")
def roads():
    return {name: follow() for name, follow in hops.ROADS.items()}


def chains(road, stop):
    return [chain for name, chain in road.chains if name == stop]


def num_files(chain):
    return len({file for file, _ in chain})


class RoadsTest(TestCase):
    """No road grows longer without a word: the numbers of CONTRIBUTING.md."""

    @pytest.mark.parametrize("name", list(hops.ROADS)[:2])
    def test_a_step(self, roads, name):
        (to_encoder,) = chains(roads[name], hops.ENCODER)
        assert len(to_encoder) <= 8 and num_files(to_encoder) <= 6
        *to_inner, to_outer = chains(roads[name], hops.TAPE)
        assert len(to_outer) <= 4 and num_files(to_outer) <= 2
        assert len(to_inner) == ("full_method" in name)
        assert all(len(chain) <= 10 and num_files(chain) <= 5 for chain in to_inner)

    def test_from_a_folder_to_weights(self, roads):
        (chain,) = chains(roads["`from_pretrained(folder)`"], hops.ASSIGN)
        assert len(chain) <= 5 and num_files(chain) <= 3

    def test_from_pictures_to_views(self, roads):
        files = roads["`load(folder)` to a batch of `two_views`"].files
        assert {"data/load.py", "augment/simclr.py"} <= set(files)


class RoadTest(TestCase):
    def test_functions_on_the_stack(self):
        with hops.Road(hops.TAPE) as road:
            bilevel.value_and_gradients(lambda v: v[0] ** 2, [tf.constant(1.0)])
        function = "bilevel/gradients.py", "value_and_gradients"
        assert road.calls == {function: 1}
        assert road.chains == [(hops.TAPE, [function])]
        assert road.changes == 0

    def test_what_tensorflow_calls_on_its_threads(self):
        def call(x):
            return tf.numpy_function(
                lambda _: bilevel.partners("ring", 3), [x], tf.int64
            )

        with hops.Road() as road:
            list(tf.data.Dataset.range(2).map(call))
        assert road.calls["bilevel/pairing.py", "partners"] == 2
