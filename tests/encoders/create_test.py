import keras
import numpy as np
import pytest

from keras_tc2 import encoders
from tests.test_case import TestCase


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


class CreateTest(TestCase):
    def test_normalises_channels_inside_the_network(self):
        shape, mean, std = (8, 8, 2), [0.2, 0.4], [0.5, 2.0]
        plain = encoders.create("convnet", input_shape=shape, widths=[4])
        given = encoders.create(
            "convnet",
            input_shape=shape,
            widths=[4],
            channel_mean=mean,
            channel_std=std,
        )
        given.backbone.set_weights(plain.backbone.get_weights())
        views = np.random.default_rng(0).random((2, 8, 8, 2)).astype("float32")
        expected = plain.encode((views - np.array(mean)) / np.array(std))
        self.assert_close(given.encode(views), expected, atol=1e-5)
        assert np.abs(np.asarray(plain.encode(views) - expected)).max() > 1e-3

    def test_one_number_serves_every_channel(self):
        encoder = encoders.create(
            "convnet", input_shape=(8, 8, 3), channel_mean=0.5, channel_std=0.2
        )
        assert encoder.recipe["channel_mean"] == [0.5, 0.5, 0.5]

    @pytest.mark.parametrize("channels", [1, 2, 12])
    def test_any_number_of_channels(self, channels):
        encoder = encoders.create("convnet", input_shape=(8, 8, channels), widths=[4])
        assert encoder(images(2, 8, 8, channels)).shape == (2, 4)

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            ("float32", "float32"),
            ("mixed_float16", "float32"),
            ("mixed_bfloat16", "float32"),
            ("float64", "float64"),
        ],
    )
    def test_features_are_float32_at_least(self, policy, expected):
        if policy == "float64":
            keras.config.set_floatx("float64")
        keras.config.set_dtype_policy(policy)
        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        assert encoder(images(2, 8, 8, 1)).dtype == expected
        assert encoder.backbone.layers[1].compute_dtype == encoder.compute_dtype

    def test_half_precision_is_close(self):
        full = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        keras.config.set_dtype_policy("mixed_float16")
        half = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        half.set_weights(full.get_weights())
        x = images(4, 8, 8, 1)
        self.assert_close(half(x), full(x), atol=2e-3)

    def test_same_seed_same_weights(self):
        weights = []
        for _ in range(2):
            keras.utils.set_random_seed(5)
            encoder = encoders.create("convnet", input_shape=(8, 8, 1))
            weights.append(encoder.get_weights())
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("nothing", {}, "Unknown encoder 'nothing'.*convnet"),
            ("convnet", {"input_shape": (8, 8)}, "three integers"),
            ("convnet", {"input_shape": (8, 0, 1)}, "width.*>= 1"),
            ("convnet", {"input_shape": (8, 8, None)}, "channels"),
            ("convnet", {"input_shape": (8, 10**9, 1)}, "width.*<= 4096"),
            ("convnet", {"depth": 3}, "no argument `depth`"),
            ("convnet", {"widths": []}, "`widths` must be a list"),
            ("convnet", {"widths": [4, -4]}, "`widths`.*-4"),
            ("convnet", {"widths": [10**9]}, "`widths`.*<= 8192"),
            ("convnet", {"widths": 16}, "`widths`.*16"),
            ("convnet", {"widths": [True]}, "`widths`.*True"),
            ("convnet", {"batch_norm_momentum": 1.5}, "batch_norm_momentum"),
            ("convnet", {"channel_mean": 0.5}, "go together"),
            ("convnet", {"channel_mean": 0.5, "channel_std": 0}, "> 0"),
            ("convnet", {"channel_mean": [0.5] * 2, "channel_std": 1}, "or 1 of them"),
            ("convnet", {"channel_mean": float("nan"), "channel_std": 1}, "finite"),
            ("convnet", {"value_range": (1, 1)}, "low < high"),
            ("resnet18", {"width": 0}, "`width`.*>= 1"),
            ("resnet18", {"stem": "large"}, "`stem`.*'small'"),
            ("efficientnet_v2_b0", {"total_stride": 3}, "`total_stride`.*3"),
            ("efficientnet_v2_b0", {"width_multiplier": 99}, "width_multiplier"),
            ("efficientnet_v2_b0", {"depth_multiplier": 99}, "depth_multiplier"),
            ("efficientnet_v2_b0", {"skip_connection_dropout": 1}, "dropout"),
            ("mobilenet_v3_small", {"width_multiplier": "1"}, "width_multiplier"),
            ("vit_tiny", {"dim": 10, "num_heads": 3}, "must divide `dim`"),
            ("vit_tiny", {"patch_size": 3}, "must divide height and width"),
            ("vit_tiny", {"depth": 10**9}, "`depth`.*<= 64"),
            ("vit_tiny", {"input_shape": (509, 509, 1)}, "tokens"),
        ],
    )
    def test_bad_arguments(self, name, arguments, message):
        arguments = {"input_shape": (8, 8, 1), **arguments}
        with pytest.raises(ValueError, match=message):
            encoders.create(name, **arguments)

    def test_a_builder_of_another_rank(self, monkeypatch):
        from keras_tc2.encoders import registry

        monkeypatch.setattr(registry, "_BUILDERS", {})

        @registry.register("flat")
        def flat(input_shape):
            x = keras.Input(input_shape)
            return keras.Model(x, keras.ops.sum(x, axis=(1, 2, 3)))

        with pytest.raises(ValueError, match=r"'flat' gave the shape \(None,\)"):
            encoders.create("flat", input_shape=(4, 4, 1))
