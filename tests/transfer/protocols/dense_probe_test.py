import keras
import numpy as np
import pytest

from keras_tc2 import transfer
from keras_tc2.transfer.protocols.dense_probe import _class_shares, mean_iou
from tests.test_case import TestCase


def squares(number, *, size=16, seed=0):
    """Images with a bright and a dark square on grey, and the classes of pixels."""
    generator = np.random.default_rng(seed)
    images = np.full((number, size, size, 1), 100.0)
    masks = np.zeros((number, size, size), int)
    for image, mask in zip(images, masks, strict=True):
        for value, level in ((1, 220.0), (2, 10.0)):
            # Each in its own half, so that neither covers the other.
            top = generator.integers(size // 2 - 4)
            left = (value - 1) * size // 2 + generator.integers(size // 2 - 5)
            place = slice(top, top + 8), slice(left, left + 6)
            image[place] = level
            mask[place] = value
    images += generator.normal(size=images.shape) * 5
    return images.astype("uint8"), masks


def encoder():
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            keras.layers.Rescaling(1 / 128, offset=-1),
            keras.layers.Conv2D(
                16,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.GlorotUniform(seed=0),
            ),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


class DenseProbeTest(TestCase):
    def test_segments_what_is_linear(self):
        result = transfer.dense_probe(encoder(), *squares(30), *squares(10, seed=1))
        assert result["mean_iou"] > 0.8 and result["accuracy"] > 0.9
        assert result["predictions"].shape == (10, 16, 16)
        blank = np.zeros((10, 16, 16), int)
        assert result["mean_iou"] > mean_iou(squares(10, seed=1)[1], blank, 3) + 0.3

    def test_encoder_with_preprocessing_and_a_coarse_map(self):
        import keras_tc2 as tc2

        wrapped = tc2.encoders.create("convnet", input_shape=(16, 16, 1), widths=(8, 8))
        result = transfer.dense_probe(wrapped, *squares(20), *squares(5, seed=1))
        assert result["predictions"].shape == (5, 16, 16)
        assert result["accuracy"] > 0.5

    def test_test_masks_choose_nothing(self):
        model, (images, masks) = encoder(), squares(5, seed=1)
        true, other = (
            transfer.dense_probe(model, *squares(15), images, given)
            for given in (masks, masks[::-1])
        )
        assert true["regularization"] == other["regularization"]

    def test_batches_do_not_change_it(self):
        model = encoder()
        whole, pieces = (
            transfer.dense_probe(
                model, *squares(12), *squares(5, seed=1), batch_size=batch_size
            )
            for batch_size in (64, 3)
        )
        assert np.mean(whole["predictions"] == pieces["predictions"]) > 0.999

    def test_a_class_that_train_lacks_counts(self):
        train, (images, masks) = squares(20), squares(6, seed=1)
        expected = transfer.dense_probe(encoder(), *train, images, masks)
        other = np.where(masks == 0, 7, masks)
        found = transfer.dense_probe(encoder(), *train, images, other)
        seen = transfer.dense_probe(encoder(), *train, images, other, num_classes=3)
        # Of the classes 0, 1, 2 and 7 the first and the last are never right.
        pixels = [(other == value, found["predictions"] == value) for value in (1, 2)]
        squares_alone = sum(np.sum(a & b) / np.sum(a | b) for a, b in pixels) / 4
        assert found["mean_iou"] == pytest.approx(squares_alone)
        assert found["mean_iou"] < expected["mean_iou"] - 0.2
        # To whom 7 is void, only the pixels of the squares count, some taken for 0.
        known = other != 7
        given, predicted = other[known], seen["predictions"][known]
        assert seen["accuracy"] == np.mean(given == predicted)
        pixels = [(given == value, predicted == value) for value in (0, 1, 2)]
        ious = [np.sum(a & b) / np.sum(a | b) for a, b in pixels if np.any(a | b)]
        assert seen["mean_iou"] == pytest.approx(np.mean(ious))

    @pytest.mark.parametrize("void", [-1, 3, 255])
    def test_void_counts_for_nothing(self, void):
        """Train and test, each with a strip of noise, void or beyond the picture."""
        images, masks = squares(20)
        others, truth = squares(6, seed=1)
        # Whose places each see one pixel, so that noise stays where it is.
        model = keras.Sequential(
            [
                keras.Input((16, None, 1)),
                keras.layers.Rescaling(1 / 128, offset=-1),
                keras.layers.Conv2D(
                    16,
                    1,
                    activation="relu",
                    kernel_initializer=keras.initializers.GlorotUniform(seed=0),
                ),
                keras.layers.GlobalAveragePooling2D(),
            ]
        )

        def with_strip(images, masks):
            noise = np.random.default_rng(5).integers(0, 255, (len(images), 16, 4, 1))
            strip = np.full((len(masks), 16, 4), void)
            return (
                np.concatenate([images, noise.astype("uint8")], axis=2),
                np.concatenate([masks, strip], axis=2),
            )

        expected = transfer.dense_probe(model, images, masks, others, truth)
        found = transfer.dense_probe(
            model, *with_strip(images, masks), *with_strip(others, truth), num_classes=3
        )
        predictions = found.pop("predictions")[:, :, :16]
        assert np.mean(predictions == expected.pop("predictions")) > 0.999
        assert found == pytest.approx(expected, rel=1e-3)

    def test_a_place_partly_void_has_the_shares_of_the_rest(self):
        masks = np.array([[[0, 255, 1, 1], [255, 255, 1, 0]]])
        shares = _class_shares(masks, 2, (1, 2))
        np.testing.assert_allclose(shares, [[[[1, 0], [0.25, 0.75]]]])
        masks[:] = 255
        assert not _class_shares(masks, 2, (1, 2)).any()

    def test_images_that_are_void_fit_and_choose_nothing(self):
        images, masks = squares(10)
        more = np.concatenate([images, 255 - images])
        void = np.concatenate([masks, np.full_like(masks, -1)])
        expected = transfer.dense_probe(encoder(), images, masks, images, masks)
        found = transfer.dense_probe(
            encoder(), more, void, images, masks, num_classes=3
        )
        assert np.mean(found["predictions"] == expected["predictions"]) > 0.999
        assert found["regularization"] == expected["regularization"]

    def test_mean_iou(self):
        masks = np.array([[[0, 0], [1, 1]]])
        predictions = np.array([[[0, 1], [1, 1]]])
        # Class 0: 1 of 2; class 1: 2 of 3; class 2 is nowhere.
        assert mean_iou(masks, predictions, 3) == pytest.approx((1 / 2 + 2 / 3) / 2)

    def test_errors(self):
        images, masks = squares(6)
        with pytest.raises(ValueError, match="`test_masks` must be"):
            transfer.dense_probe(encoder(), images, masks, images, masks[:, :4])
        with pytest.raises(ValueError, match="whose least is -1"):
            transfer.dense_probe(encoder(), images, masks, images, masks - 1)
        for given in ((masks, masks + 3), (masks + 3, masks)):
            with pytest.raises(ValueError, match="no pixel of the classes 0 to 2"):
                transfer.dense_probe(
                    encoder(), images, given[0], images, given[1], num_classes=3
                )
        flat = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten()])
        with pytest.raises(ValueError, match="has no feature map"):
            transfer.dense_probe(flat, images, masks, images, masks)
