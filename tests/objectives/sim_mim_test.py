import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.objectives import SimMIM, sim_mim
from keras_tc2.objectives.patch_masks import patch_masks
from tests.objectives import loss_checks
from tests.test_case import TestCase


def images(number, *, batch=3, size=6, dtype="float64"):
    rng = np.random.default_rng(0)
    return [rng.random((batch, size, size, 2)).astype(dtype) for _ in range(number)]


def masks(batch=3, size=6):
    draws = np.random.default_rng(1).random((batch, size, size, 1))
    return (draws < 0.4).astype("float64")


class SimMIMLossTest(TestCase):
    def test_golden_values(self):
        predictions, pixels = images(2)
        hidden = masks()
        chosen = np.broadcast_to(hidden, pixels.shape) == 1
        expected = np.mean(np.abs(predictions - pixels)[chosen])
        self.assert_close(sim_mim(predictions, pixels, hidden), expected, rtol=1e-9)

    def test_visible_pixels_do_not_count(self):
        predictions, pixels = images(2)
        hidden = masks()
        loss = sim_mim(predictions, pixels, hidden)
        elsewhere = predictions + 5 * (1 - hidden)
        self.assert_close(sim_mim(elsewhere, pixels, hidden), loss)
        assert float(sim_mim(predictions, pixels, 0 * hidden)) == 0

    def test_invariances(self):
        predictions, pixels = images(2)
        hidden = masks()
        loss = sim_mim(predictions, pixels, hidden)
        order = [2, 0, 1]
        permuted = sim_mim(predictions[order], pixels[order], hidden[order])
        self.assert_close(permuted, loss)
        shifted = sim_mim(predictions[order], pixels, hidden)
        assert abs(float(shifted - loss)) > 1e-4

    def test_pixels_of_another_type(self):
        predictions, pixels = images(2)
        loss = sim_mim(predictions.astype("float32"), pixels, masks())
        assert loss.dtype == "float32"
        self.assert_close(loss, sim_mim(predictions, pixels, masks()), rtol=1e-5)

    def test_gradients(self, float64):
        predictions, pixels = images(2)
        loss_checks.check_gradients(
            self, lambda y: sim_mim(y, pixels, masks()), [predictions]
        )
        loss_checks.assert_no_gradient(
            lambda x: sim_mim(predictions, x, masks()), [pixels]
        )

    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_extremes_are_finite(self, dtype):
        predictions, pixels = images(2, batch=2, dtype=dtype)
        for y, x in [(pixels, pixels), (1000 * predictions, pixels)]:
            y = tf.Variable(y)
            target = {"pixels": x, "masks": masks(2).astype(dtype)}
            with tf.GradientTape() as tape:
                loss = SimMIM()(y, targets=[target])
            assert loss.dtype == tf.float32
            assert np.isfinite(loss)
            assert np.all(np.isfinite(tape.gradient(loss, y)))


class MasksTest(TestCase):
    def draw(self, seed=(0, 0), batch_size=200, size=(7, 6, 2)):
        arguments = {"patch_size": 2, "mask_ratio": 0.5, "dtype": "float32"}
        drawn = patch_masks(batch_size, size, seed=tf.constant(seed), **arguments)
        return np.asarray(drawn)

    def test_hide_as_many_patches_of_every_image(self):
        drawn = self.draw()
        assert drawn.shape == (200, 7, 6, 1)
        corners = drawn[:, ::2, ::2, 0]
        np.testing.assert_array_equal(corners.sum(axis=(1, 2)), np.full(200, 6))
        np.testing.assert_array_equal(drawn[:, 1::2, 1::2, 0], corners[:, :3])
        np.testing.assert_array_equal(drawn[:, :6:2, 1::2, 0], corners[:, :3])
        # Every place is hidden about half of the time.
        assert np.all(np.abs(corners.mean(axis=0) - 0.5) < 0.15)

    def test_are_a_function_of_the_seed(self):
        np.testing.assert_array_equal(self.draw((3, 4)), self.draw((3, 4)))
        assert np.any(self.draw((3, 4)) != self.draw((3, 5)))
        assert np.any(self.draw((3, 4)) != self.draw((2, 4)))

    @pytest.mark.parametrize(("ratio", "expected"), [(0.001, 1), (0.999, 3)])
    def test_never_hide_all_or_nothing(self, ratio, expected):
        drawn = patch_masks(
            5,
            (2, 2, 1),
            patch_size=1,
            mask_ratio=ratio,
            seed=tf.constant([0, 0]),
            dtype="float32",
        )
        np.testing.assert_array_equal(np.sum(drawn, axis=(1, 2, 3)), [expected] * 5)

    def test_views_get_the_mean_of_what_is_visible(self):
        views = [tf.constant(view) for view in images(2)]
        masked, targets = SimMIM(patch_size=2).mask_views(views, tf.constant(7))
        assert np.any(targets[0]["masks"] != targets[1]["masks"])
        for view, seen, target in zip(views, masked, targets, strict=True):
            view, seen = np.asarray(view), np.asarray(seen)
            np.testing.assert_array_equal(target["pixels"], view)
            hidden = np.asarray(target["masks"])[..., 0] == 1
            for i in range(len(view)):
                np.testing.assert_array_equal(seen[i][~hidden[i]], view[i][~hidden[i]])
                colour = view[i][~hidden[i]].mean(axis=0)
                expected = np.broadcast_to(colour, seen[i][hidden[i]].shape)
                self.assert_close(seen[i][hidden[i]], expected)
        _, later = SimMIM(patch_size=2).mask_views(views, tf.constant(8))
        assert np.any(later[0]["masks"] != targets[0]["masks"])
        # Nor does a view get the masks that the other had a step before.
        assert np.any(later[0]["masks"] != targets[1]["masks"])
        _, other = SimMIM(patch_size=2, seed=1).mask_views(views, tf.constant(7))
        assert np.any(other[0]["masks"] != targets[0]["masks"])


class SimMIMTest(TestCase):
    @pytest.mark.parametrize(("side", "expected"), [(28, 4), (224, 32), (6, 1)])
    def test_default_patch_is_a_seventh(self, side, expected):
        head = SimMIM().make_head(4, (side, side, 1))
        assert head.patch_size == expected

    def test_config(self):
        arguments = {
            "mask_ratio": 0.5,
            "patch_size": 3,
            "hidden_dim": 7,
            "seed": 5,
            "gather": True,
        }
        self.run_config_test(SimMIM, arguments)

    @pytest.mark.parametrize(
        "arguments",
        [{"mask_ratio": 1.0}, {"patch_size": 0}, {"hidden_dim": 0}, {"seed": -1}],
    )
    def test_refuses(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            SimMIM(**arguments)

    def test_refuses_images_it_cannot_draw(self):
        with pytest.raises(ValueError, match="a fixed image size"):
            SimMIM().make_head(4, (None, None, 3))
        with pytest.raises(ValueError, match="more than one patch"):
            SimMIM(patch_size=8).make_head(4, (8, 8, 3))
