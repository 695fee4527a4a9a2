import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment
from tests.test_case import TestCase


def simclr(channels):
    return augment.simclr(image_size=8, channels=channels, blur=True)


LAYERS = {
    "crop": lambda: augment.RandomResizedCrop(8, interpolation="bicubic"),
    "horizontal_flip": lambda: augment.RandomHorizontalFlip(),
    "vertical_flip": lambda: augment.RandomVerticalFlip(),
    "quarter_turn": lambda: augment.RandomQuarterTurn(),
    "color_jitter": lambda: augment.RandomColorJitter(
        brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, probability=0.8
    ),
    "grayscale": lambda: augment.RandomGrayscale(probability=0.5),
    "blur": lambda: augment.RandomGaussianBlur(),
    "solarize": lambda: augment.RandomSolarize(probability=0.5),
    "channel_gain": lambda: augment.RandomChannelGain(gain=0.5),
    "simclr": lambda: simclr(channels=3),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (16, 10, 10, 3), dtype=np.uint8)


class ImageAugmentationTest(TestCase):
    def test_every_layer_is_here(self):
        exported = {
            value
            for value in vars(augment).values()
            if isinstance(value, type) and issubclass(value, augment.ImageAugmentation)
        }
        made = {type(make()) for make in LAYERS.values()}
        # What others are made from, and what makes several views.
        assert exported - made == {augment.ImageAugmentation, augment.Views}

    @each_layer
    def test_one_seed_gives_one_result_eagerly_in_graphs_and_in_tf_data(
        self, make, images
    ):
        layer = make()
        eager = layer.augment(images, (5, 6))
        assert eager.dtype == tf.float32
        self.assert_close(layer.augment(images, (5, 6)), eager, rtol=0, atol=0)
        graph = tf.function(layer.augment)(images, tf.constant((5, 6)))
        self.assert_close(graph, eager, atol=1e-5)
        seeds = tf.data.Dataset.from_tensor_slices(np.int32([[7, 7], [5, 6], [8, 8]]))
        mapped = list(
            seeds.map(lambda seed: layer.augment(images, seed), num_parallel_calls=3)
        )
        self.assert_close(mapped[1], eager, atol=1e-5)
        assert not np.allclose(mapped[0], mapped[2])

    @each_layer
    def test_every_image_has_its_own_randomness(self, make, images):
        same = np.broadcast_to(images[:1], images.shape)
        views = make().augment(same, (1, 2)).numpy()
        num_different = len(np.unique(views.round(5).reshape(len(views), -1), axis=0))
        assert num_different >= 2, "all images got the same transformation"

    @each_layer
    def test_output_is_float32_in_unit_range(self, make):
        extremes = np.random.default_rng(0).integers(0, 2, (32, 9, 9, 3)).astype("f4")
        views = make().augment(extremes, (0, 0)).numpy()
        assert views.dtype == np.float32
        assert views.min() >= 0 and views.max() <= 1

    @each_layer
    def test_integer_and_float_images_give_the_same_views(self, make, images):
        layer = make()
        expected = layer.augment(images, (1, 2))
        for scaled in (
            images / np.float64(255),
            (images / 255).astype("float32"),
            images.astype("uint16") * 257,
        ):
            self.assert_close(layer.augment(scaled, (1, 2)), expected, atol=2e-6)

    @pytest.mark.filterwarnings("ignore:.*needs 3 channels")
    @each_layer
    def test_any_number_of_channels(self, make):
        for channels in (1, 2, 5):
            images = np.random.default_rng(0).random((4, 8, 8, channels))
            # A recipe says which number it is for.
            layer = simclr(channels) if make is LAYERS["simclr"] else make()
            views = layer.augment(images, (0, 1))
            assert views.shape == images.shape
            assert np.isfinite(views.numpy()).all()

    @each_layer
    def test_call_continues_its_own_generator(self, make, images):
        layer, twin = make(), make()
        layer.seed_generator = keras.random.SeedGenerator(11)
        twin.seed_generator = keras.random.SeedGenerator(11)
        first, second = layer(images), layer(images)
        assert not np.allclose(first, second)
        self.assert_close(twin(images), first, rtol=0, atol=0)
        self.assert_close(twin(images), second, rtol=0, atol=0)
        self.assert_close(first, layer.augment(images, (11, 0)), rtol=0, atol=0)

    @each_layer
    def test_symbolic_call_knows_shape_and_dtype(self, make, images):
        output = make()(keras.Input((8, 8, 3), dtype="uint8"))
        assert tuple(output.shape) == (None, 8, 8, 3)
        assert output.dtype == "float32"

    @each_layer
    def test_has_nothing_to_train_and_survives_an_empty_batch(self, make, images):
        layer = make()
        assert layer.augment(images[:0], (0, 0)).shape[0] == 0
        layer(images)
        assert layer.trainable_variables == []

    @each_layer
    def test_unknown_batch_size_in_a_graph(self, make, images):
        layer = make()
        signature = tf.TensorSpec((None, 8, 8, 3), tf.uint8)
        function = tf.function(layer.augment, input_signature=[signature, SEED])
        assert function(images[:, :8, :8], (0, 1)).shape == (16, 8, 8, 3)

    def test_augments_whatever_training_is_and_stays_float32(self, images):
        keras.config.set_dtype_policy("mixed_float16")
        layer = augment.RandomHorizontalFlip(probability=1.0)
        model = keras.Sequential([keras.Input((10, 10, 3), dtype="uint8"), layer])
        mirrored = images[:, :, ::-1] / np.float32(255)
        for training in (True, False):
            views = model(images, training=training)
            assert views.dtype == tf.float32
            self.assert_close(views, mirrored)

    def test_float_half_and_double_come_out_as_float32(self):
        layer = augment.RandomHorizontalFlip(probability=0.0)
        for dtype in ("float16", "float64"):
            images = np.full((1, 2, 2, 3), 0.5, dtype)
            assert layer.augment(images, (0, 0)).dtype == tf.float32
            assert layer(images).dtype == tf.float32

    def test_refuses_wrong_rank_and_dtype(self):
        layer = augment.RandomHorizontalFlip()
        with pytest.raises(ValueError, match=r"four axes.*\(8, 8, 3\)"):
            layer.augment(np.zeros((8, 8, 3), "uint8"), (0, 0))
        for dtype in ("int32", "int64", "bool"):
            with pytest.raises(ValueError, match=f"uint8, uint16 or float.*{dtype}"):
                layer.augment(np.zeros((1, 8, 8, 3), dtype), (0, 0))
        unknown = tf.TensorSpec((None, 8, 8, None), tf.uint8)
        with pytest.raises(ValueError, match="number of channels"):
            tf.function(layer.augment).get_concrete_function(unknown, SEED)

    def test_a_subclass_must_say_what_it_does(self):
        with pytest.raises(NotImplementedError, match="transform"):
            augment.ImageAugmentation().augment(np.zeros((1, 2, 2, 3)), (0, 0))


SEED = tf.TensorSpec((2,), tf.int32)
