import keras
import pytest

from keras_tc2.encoders import registry
from tests.test_case import TestCase


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))


def tiny(input_shape, *, width=2, widths=(1, 2)):
    images = keras.Input(input_shape)
    return keras.Model(images, keras.layers.Conv2D(width, 1)(images))


class RegistryTest(TestCase):
    def test_names(self):
        assert registry.names() == sorted(registry.names())
        assert {
            "convnet",
            "resnet18",
            "resnet34",
            "resnet50",
            "efficientnet_v2_b0",
            "mobilenet_v3_small",
            "vit_tiny",
        } <= set(registry.names())

    def test_registers_and_returns_the_function(self):
        assert registry.register("tiny")(tiny) is tiny
        assert registry.builder_named("tiny") is tiny
        assert "tiny" in registry.names()

    def test_a_module_may_be_imported_anew(self):
        registry.register("tiny")(tiny)
        registry.register("tiny")(tiny)

    def test_a_name_is_not_taken_twice(self):
        with pytest.raises(ValueError, match=r"'convnet' is registered already.*conv"):
            registry.register("convnet")(tiny)

    def test_every_argument_needs_a_default(self):
        with pytest.raises(ValueError, match=r"Without one: `width`"):

            @registry.register("no_default")
            def no_default(input_shape, *, width):
                pass

    def test_unknown_name_lists_the_known(self):
        with pytest.raises(ValueError, match=r"Unknown encoder 'resnet19'.*resnet18"):
            registry.builder_named("resnet19")

    def test_defaults_are_filled_in(self):
        registry.register("tiny")(tiny)
        arguments = registry.complete_arguments("tiny", {"width": 5})
        assert arguments == {"width": 5, "widths": (1, 2)}

    def test_unknown_argument_lists_the_known(self):
        with pytest.raises(ValueError, match=r"no argument `depth`.*widths"):
            registry.complete_arguments("convnet", {"depth": 3})
