"""The types of public names, for editors and type checkers."""

import inspect
import pathlib

import keras
import pytest

import keras_tc2
from keras_tc2 import (
    augment,
    bilevel,
    callbacks,
    cli,
    data,
    encoders,
    hub,
    layers,
    objectives,
    optimizers,
    pretraining,
    recipes,
    transfer,
)
from tests.test_case import TestCase

ROOMS = [
    augment,
    bilevel,
    callbacks,
    cli,
    data,
    encoders,
    layers,
    objectives,
    optimizers,
    pretraining,
    recipes,
    transfer,
    transfer.merge,
    transfer.scores,
    transfer.video,
]
# What takes the options of a builder, or of the constructor of a class.
FORWARDING = {"create", "BiSSLTrainer.from_pretrainer"}
# Special methods that a caller writes arguments for.
CALLED = {"__init__", "__call__"}


def plain(value):
    """The function in a method, class method or property, if it is one of ours."""
    if isinstance(value, property):
        value = value.fget
    function = inspect.unwrap(getattr(value, "__func__", value))
    module = getattr(function, "__module__", "")
    # An old name is as the new one is.
    ours = module.startswith("keras_tc2") and module != "keras_tc2.deprecation"
    return function if ours and inspect.isfunction(function) else None


def functions(room):
    """Public functions and methods of a room, by name."""
    found = {}
    for name in room.__all__:
        thing = getattr(room, name)
        if not isinstance(thing, type):
            found[name] = plain(thing)
            continue
        for base in thing.__mro__:
            if base.__module__.startswith("keras_tc2"):
                found |= {
                    f"{base.__name__}.{key}": plain(value)
                    for key, value in vars(base).items()
                    if key in CALLED or not key.startswith("_")
                }
    return {name: function for name, function in found.items() if function}


class NamesTest(TestCase):
    @pytest.mark.parametrize(
        "room", [keras_tc2, hub, *ROOMS], ids=lambda room: room.__name__
    )
    def test_completion_offers_what_is_public_and_nothing_else(self, room):
        assert dir(room) == sorted(room.__all__)
        assert all(hasattr(room, name) for name in room.__all__)


class AnnotationsTest(TestCase):
    @pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
    def test_every_argument_and_result_has_a_type(self, room):
        found = functions(room)
        assert found
        bare = []
        for where, function in found.items():
            signature = inspect.signature(function)
            if signature.return_annotation is inspect.Signature.empty:
                bare.append(f"{where} -> ?")
            for name, parameter in signature.parameters.items():
                typed = parameter.annotation is not inspect.Parameter.empty
                if name not in ("self", "cls") and not typed:
                    bare.append(f"{where}({name})")
        assert not bare

    @pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
    def test_options_are_spelled_out(self, room):
        """But where they are Keras's, a builder's, or those of a constructor."""
        for where, function in functions(room).items():
            parameters = inspect.signature(function).parameters.values()
            if any(each.kind is each.VAR_KEYWORD for each in parameters):
                name = where.rpartition(".")[2]
                assert hasattr(keras.Model, name) or where in FORWARDING, where

    def test_the_package_says_that_it_has_types(self):
        assert (pathlib.Path(keras_tc2.__file__).parent / "py.typed").is_file()
