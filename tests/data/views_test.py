"""Batches of views: what is in them, in which order, and what stops them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, data
from tests.data.pictures import arrays, noise, write
from tests.test_case import TestCase

IMAGES = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)


class Add(augment.ImageAugmentation):
    """Adds a constant, and noise far smaller than a step of IMAGES."""

    def __init__(self, constant, noise=1e-4, **kwargs):
        super().__init__(**kwargs)
        self.constant, self.noise = constant, noise

    def transform(self, images, seed):
        noise = tf.random.stateless_uniform(tf.shape(images), seed, 0, self.noise)
        return images + self.constant + noise


def numbers(view):
    """Which of IMAGES a batch holds."""
    return np.rint(view.ravel() * 255).astype(int).tolist()


def as_stream(images):
    return tf.data.Dataset.from_tensor_slices(images)


def sources(tmp_path):
    """The same images from an array, a folder and a stream."""
    for index, image in enumerate(IMAGES):
        write(tmp_path / f"{index:02}.png", image)
    return {
        "array": IMAGES,
        "loaded array": data.load(IMAGES),
        "folder": data.load(tmp_path),
        "stream": as_stream(IMAGES),
        "labelled": as_stream((IMAGES, np.arange(40))),
    }


class OrderTest(TestCase):
    def test_every_source(self, tmp_path):
        for name, images in sources(tmp_path).items():
            views = data.two_views(images, batch_size=12)
            assert len(views) == 3, name
            assert views.element_spec == (tf.TensorSpec((12, 1, 1, 1)),) * 2, name
            epochs = [arrays(views) for _ in range(2)]
            orders = [
                [n for view, _ in batches for n in numbers(view)] for batches in epochs
            ]
            for order in orders:
                assert len(order) == len(set(order)) == 36, name
                assert order != sorted(order), name
            assert orders[0] != orders[1], name
            for view_1, view_2 in epochs[0]:
                np.testing.assert_array_equal(view_1, view_2)

    def test_without_shuffling(self, tmp_path):
        for name, images in sources(tmp_path).items():
            views = data.two_views(images, batch_size=12, shuffle=False)
            order = [n for view, _ in arrays(views) for n in numbers(view)]
            assert order == list(range(36)), name

    @pytest.mark.parametrize("kind", ["array", "stream"])
    def test_function_of_seed_and_epoch_alone(self, kind):
        images = IMAGES if kind == "array" else as_stream(IMAGES)

        def epochs(count, **arguments):
            views = data.two_views(
                images, batch_size=8, augmentation=Add(0.1), **arguments
            )
            return [np.stack(arrays(views)) for _ in range(count)]

        first, second, third = epochs(3, seed=5)
        tf.random.set_seed(99)
        again = epochs(1, seed=5, epoch_counter=data.EpochCounter(2))
        np.testing.assert_array_equal(again[0], third)
        np.testing.assert_array_equal(epochs(2, seed=5)[1], second)
        assert not np.array_equal(epochs(1, seed=6)[0], first)
        assert not np.array_equal(first, second)

    def test_whatever_the_parallelism(self):
        def epoch(threads):
            views = data.two_views(as_stream(IMAGES), batch_size=2, augmentation=Add(0))
            options = tf.data.Options()
            options.threading.private_threadpool_size = threads
            return np.stack(arrays(views.with_options(options)))

        np.testing.assert_array_equal(epoch(1), epoch(16))

    def test_continuing_within_an_epoch(self):
        arguments = {"batch_size": 8, "augmentation": Add(0.2), "seed": 3}
        whole = arrays(data.two_views(IMAGES, **arguments))
        rest = arrays(data.two_views(IMAGES, **arguments).skip(2))
        np.testing.assert_array_equal(np.stack(rest), np.stack(whole[2:]))

    def test_the_counter_can_be_set(self):
        counter = data.EpochCounter()
        views = data.two_views(IMAGES, batch_size=8, epoch_counter=counter)
        epochs = [np.stack(arrays(views)) for _ in range(3)]
        assert counter.epoch == 3
        counter.epoch = 1
        np.testing.assert_array_equal(np.stack(arrays(views)), epochs[1])
        with pytest.raises(ValueError, match="`epoch` must be an integer >= 0"):
            counter.epoch = -1

    def test_a_list_of_sources_is_one_block_each(self):
        domains = [IMAGES[:16], data.load(IMAGES[16:24]), as_stream(IMAGES[24:])]
        views = data.two_views(domains, batch_size=6)
        assert len(views) == 4
        for batches in (arrays(views), arrays(views)):
            orders = np.array([numbers(view) for view, _ in batches])
            for block, (low, high) in enumerate([(0, 16), (16, 24), (24, 40)]):
                seen = orders[:, 2 * block : 2 * block + 2].ravel()
                assert len(set(seen)) == 8
                assert seen.min() >= low and seen.max() < high
        with pytest.raises(ValueError, match="3 sources, batch_size=8"):
            data.two_views(domains, batch_size=8)
        with pytest.raises(ValueError, match="one size and type"):
            data.two_views([IMAGES, IMAGES / 255], batch_size=8)
        with pytest.raises(
            ValueError, match=r"labels\) give the images.*ndarray, list"
        ):
            data.two_views((IMAGES, [0] * len(IMAGES)), batch_size=8)
        with pytest.raises(TypeError, match="Received: str"):
            data.two_views("cifar10", batch_size=8)

    def test_a_tuple_of_images_is_one_source(self):
        views = data.two_views(tuple(IMAGES), batch_size=8, shuffle=False)
        view, _ = next(iter(views.from_step(0)))
        assert numbers(view.numpy()) == list(range(8))

    def test_each_source_of_a_list_has_an_order_of_its_own(self):
        for source in (IMAGES, as_stream(IMAGES)):
            views = data.two_views([source, source], batch_size=20)
            blocks = np.stack([view.reshape(2, 10) for view, _ in arrays(views)])
            assert (blocks[:, 0] == blocks[:, 1]).mean() < 0.3

    def test_class_sorted_files_are_mixed(self):
        """A buffer smaller than a class would give batches of one class."""
        views = data.two_views(data.load(IMAGES), batch_size=8, shuffle_buffer=2)
        first, _ = next(iter(views))
        assert max(numbers(first.numpy())) - min(numbers(first.numpy())) > 15

    def test_small_buffer_of_a_stream(self):
        views = data.two_views(as_stream(IMAGES), batch_size=8, shuffle_buffer=2)
        first, _ = next(iter(views))
        assert max(numbers(first.numpy())) <= 8

    def test_skipped_files_make_an_epoch_shorter(self, tmp_path):
        images = sources(tmp_path)
        (tmp_path / "07.png").write_bytes(b"")
        images = data.load(tmp_path, on_error="skip")
        views = data.two_views(images, batch_size=13)
        order = [n for view, _ in arrays(views) for n in numbers(view)]
        assert sorted(order) == [n for n in range(40) if n != 7]

    def test_fit_sees_new_epochs_of_known_length(self):
        seen = []

        class Spy(keras.Model):
            def train_step(self, batch):
                tf.py_function(
                    lambda x: seen.append(numbers(x.numpy())), [batch[0]], []
                )
                return {"loss": tf.zeros(())}

        model = Spy()
        model.compile()
        views = data.two_views(IMAGES, batch_size=20)
        model.fit(views, epochs=2, shuffle=False, verbose=0)
        assert len(seen) == 4
        assert sorted(seen[0] + seen[1]) == sorted(seen[2] + seen[3]) == list(range(40))
        assert seen[0] != seen[2]

    def test_replicas_share_the_batches(self):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            views = data.two_views(IMAGES, batch_size=20)
        distributed = strategy.experimental_distribute_dataset(views)
        seen = []
        for view, _ in distributed:
            parts = strategy.experimental_local_results(view)
            assert [part.shape[0] for part in parts] == [10, 10]
            seen += [n for part in parts for n in numbers(part.numpy())]
        assert sorted(seen) == list(range(40))


class AugmentationTest(TestCase):
    def one_batch(self, augmentation, images=IMAGES, batch_size=8, **arguments):
        views = data.two_views(
            images, batch_size=batch_size, augmentation=augmentation, **arguments
        )
        return arrays(views.take(1))[0]

    def test_one_layer_draws_two_views(self):
        images = np.zeros((8, 4, 4, 3), np.uint8)
        view_1, view_2 = self.one_batch(Add(0.5, noise=0.1), images)
        assert view_1.min() >= 0.5 and view_1.max() <= 0.6
        flat = np.concatenate([view_1, view_2]).reshape(16, -1)
        assert len(np.unique(flat, axis=0)) == 16

    def test_a_list_is_one_recipe_a_block(self):
        recipes = [Add(value) for value in (0.1, 0.3, 0.5, 0.7)]
        for view in self.one_batch(recipes, np.zeros_like(IMAGES)):
            blocks = view.reshape(4, 2)
            self.assert_close(
                blocks, [[0.1] * 2, [0.3] * 2, [0.5] * 2, [0.7] * 2], atol=2e-4
            )

    def test_blocks_of_one_recipe_differ(self):
        images = np.zeros((8, 4, 4, 3), np.uint8)
        for view in self.one_batch([Add(0.5, noise=0.1)] * 2, images):
            assert len(np.unique(view.reshape(8, -1), axis=0)) == 8

    def test_blocks_keep_both_views_of_an_image(self):
        view_1, view_2 = self.one_batch([Add(0), Add(0)])
        assert numbers(view_1) == numbers(view_2)

    def test_views_give_each_view_its_recipe(self):
        view_1, view_2 = self.one_batch(
            augment.Views([Add(0.1), Add(0.6)]), np.zeros_like(IMAGES)
        )
        self.assert_close(view_1, np.full_like(view_1, 0.1), atol=2e-4)
        self.assert_close(view_2, np.full_like(view_2, 0.6), atol=2e-4)

    def test_views_in_blocks(self):
        recipes = [
            augment.Views([Add(0.1), Add(0.2)]),
            augment.Views([Add(0.3), Add(0.4)]),
        ]
        view_1, view_2 = self.one_batch(recipes, np.zeros_like(IMAGES))
        self.assert_close(view_1.reshape(2, 4), [[0.1] * 4, [0.3] * 4], atol=2e-4)
        self.assert_close(view_2.reshape(2, 4), [[0.2] * 4, [0.4] * 4], atol=2e-4)

    def test_recipes_of_the_library(self):
        recipes = augment.simclr_tasks(image_size=16, num_tasks=2, channels=1)
        views = self.one_batch(recipes, noise((8, 20, 20, 1)))
        for view in views:
            assert view.shape == (8, 16, 16, 1) and view.dtype == np.float32
            assert view.min() >= 0 and view.max() <= 1
        assert not np.array_equal(*views)

    def test_functions_and_keras_layers(self):
        view_1, view_2 = self.one_batch(lambda images: images / 2, shuffle=False)
        self.assert_close(view_1, IMAGES[:8] / 510)
        self.assert_close(view_2, IMAGES[:8] / 510)
        images = np.tile(np.arange(6, dtype=np.uint8), (8, 6, 1))[..., None]
        flip = keras.layers.RandomFlip("horizontal", seed=1)
        view_1, view_2 = self.one_batch(flip, images)
        assert {tuple(image[0, :, 0]) for image in np.rint(view_1 * 255)} == {
            (0, 1, 2, 3, 4, 5),
            (5, 4, 3, 2, 1, 0),
        }
        assert not np.array_equal(view_1, view_2)

    def test_multi_views(self):
        large, small = augment.RandomResizedCrop(16), augment.RandomResizedCrop(8)
        recipe = augment.Views([large, large, small, small])
        views = data.multi_views(
            noise((12, 20, 20, 3)), batch_size=4, augmentation=recipe
        )
        assert len(views) == 3
        shapes = [view.shape[1:3] for view in next(iter(views))]
        assert shapes == [(16, 16), (16, 16), (8, 8), (8, 8)]
        with pytest.raises(ValueError, match=r"`data\.multi_views` takes"):
            data.two_views(IMAGES, batch_size=4, augmentation=recipe)
        with pytest.raises(ValueError, match="must be a `keras_tc2"):
            data.multi_views(IMAGES, batch_size=4, augmentation=Add(0))
        with pytest.raises(TypeError, match="nothing"):
            data.multi_views(IMAGES, batch_size=4, augmentation=recipe, nothing=1)

    def test_pixel_types(self):
        for dtype in (np.uint8, np.uint16):
            images = noise((4, 3, 3, 2), dtype=dtype)
            expected = images / np.iinfo(dtype).max
            for source in (images, as_stream(images)):
                view, _ = self.one_batch(None, source, batch_size=4, shuffle=False)
                self.assert_close(view, expected)
        view, _ = self.one_batch(None, expected, batch_size=4, shuffle=False)
        self.assert_close(view, expected)


class BadInputTest(TestCase):
    def test_batch_not_divisible(self):
        recipes = [Add(0)] * 4
        with pytest.raises(ValueError, match=r"recipes, 4.*batch_size=10.*8 and 12"):
            data.two_views(IMAGES, batch_size=10, augmentation=recipes)
        with pytest.raises(ValueError, match=r"batch_size=3.*are: 4$"):
            data.two_views(IMAGES, batch_size=3, augmentation=recipes)

    def test_augmentation(self):
        for augmentation in ([], 3, [Add(0), "flip"]):
            with pytest.raises(ValueError, match="`augmentation` must be"):
                data.two_views(IMAGES, batch_size=8, augmentation=augmentation)
        recipes = [augment.RandomResizedCrop(4), augment.RandomResizedCrop(6)]
        with pytest.raises(ValueError, match="of the same shape"):
            data.two_views(noise((8, 8, 8, 3)), batch_size=8, augmentation=recipes)

    def test_arguments(self):
        for arguments in ({"batch_size": 0}, {"seed": -1}, {"shuffle_buffer": 0}):
            (name,) = arguments
            with pytest.raises(ValueError, match=f"`{name}` must be an integer"):
                data.two_views(IMAGES, **{"batch_size": 8, **arguments})

    @pytest.mark.parametrize("source", [IMAGES, as_stream(IMAGES)])
    def test_fewer_images_than_a_batch(self, source):
        with pytest.raises(ValueError, match="batch_size=41 for 40 images"):
            data.two_views(source, batch_size=41)

    def test_arrays_are_checked_at_once(self):
        images = np.zeros((40, 2, 2, 1), np.float32)
        for value in (np.nan, np.inf, 2.0, -0.1):
            images[17, 0, 1] = value
            with pytest.raises(ValueError, match="in image 17"):
                data.two_views(images, batch_size=8)
        with pytest.raises(ValueError, match=r"images\[\.\.\., None\]"):
            data.two_views(images[..., 0], batch_size=8)

    @pytest.mark.parametrize(
        ("value", "message"), [(np.nan, "NaN or infinite"), (3.0, r"\[0, 1\]")]
    )
    def test_datasets_are_checked_batch_by_batch(self, value, message):
        images = np.zeros((40, 2, 2, 1), np.float32)
        images[17, 0, 1] = value
        views = data.two_views(
            as_stream(images),
            batch_size=8,
            shuffle=False,
            epoch_counter=data.EpochCounter(4),
        )
        with pytest.raises(data.ReadingError, match=message) as error:
            arrays(views)
        assert "in batch 2 of epoch 4" in str(error.value)

    def test_different_sizes(self, tmp_path):
        write(tmp_path / "a.png", noise((8, 9, 3)))
        write(tmp_path / "b.png", noise((8, 7, 3)))
        views = data.two_views(data.load(tmp_path), batch_size=2)
        message = r"pass `image_size`.*\(8, 9, 3\), another is 8 7 3"
        with pytest.raises(data.ReadingError, match=message):
            arrays(views)
        views = data.two_views(data.load(tmp_path, image_size=8), batch_size=2)
        assert next(iter(views))[0].shape == (2, 8, 8, 3)

    def test_datasets_of_something_else(self):
        images = as_stream(IMAGES)
        with pytest.raises(ValueError, match="unbatch it"):
            data.two_views(images.batch(4), batch_size=4)
        with pytest.raises(ValueError, match="uint8, uint16 or float"):
            data.two_views(images.map(lambda x: tf.cast(x, tf.int64)), batch_size=4)
        with pytest.raises(ValueError, match="leave out `repeat"):
            data.two_views(images.repeat(), batch_size=4)
        empty = tf.data.Dataset.from_generator(
            lambda: iter(()), output_signature=tf.TensorSpec((None, None, 1), tf.uint8)
        )
        with pytest.raises(ValueError, match="holds no images"):
            data.two_views(empty, batch_size=4)
