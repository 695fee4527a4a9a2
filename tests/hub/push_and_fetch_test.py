"""Push and fetch with the stock client over real HTTP."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from keras_tc2 import encoders, hub
from keras_tc2.encoders import from_pretrained
from tests.hub.conftest import TOKEN
from tests.test_case import TestCase


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


@pytest.fixture(scope="module")
def encoder():
    return encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])


class PushTest(TestCase):
    def test_push_then_fetch_gives_the_same_features(self, server, encoder):
        url = encoder.push_to_hub("me/enc", token=TOKEN)
        sha = server.repositories["me/enc"].resolve("main")
        assert url == f"{server.url}/me/enc/commit/{sha}"
        assert set(server.files("me/enc")) == {
            ".gitattributes",
            "README.md",
            "config.json",
            "model.weights.h5",
        }
        x = images(2, 8, 8, 1)
        np.testing.assert_array_equal(from_pretrained("me/enc")(x), encoder(x))
