"""The same views from any step on, and every image and task to one replica."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import augment, data
from keras_tc2.data.pipeline.view_dataset import Share
from tests.test_case import TestCase

IMAGES = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)


class Add(augment.ImageAugmentation):
    """Adds a constant, which tells the recipe, and noise far below a step of IMAGES."""

    def __init__(self, constant, **kwargs):
        super().__init__(**kwargs)
        self.constant = constant

    def transform(self, images, seed):
        noise = tf.random.stateless_uniform(tf.shape(images), seed, 0, 1e-4)
        return images + self.constant + noise


RECIPES = [Add(0.25), Add(0.5), Add(0.75)]
SOURCES = {
    "array": lambda: IMAGES,
    "stream": lambda: tf.data.Dataset.from_tensor_slices(IMAGES),
}
# What users make of views before they give them to `fit`.
MADE = {
    "prefetched": lambda views: views.prefetch(1),
    "taken": lambda views: views.take(2),
    "skipped": lambda views: views.skip(1),
    "taken and skipped": lambda views: views.take(2).skip(1),
    "repeated": lambda views: views.repeat(),
    "repeated twice": lambda views: views.repeat(2),
    "repeated, taken": lambda views: views.repeat().take(4),
    "repeated, skipped, taken": lambda views: views.repeat().skip(2).take(5),
    "taken, repeated, skipped": lambda views: views.take(2).repeat(3).skip(1),
    "taken, repeated without end": lambda views: views.take(2).repeat(-1),
    "repeated, taken, repeated": lambda views: views.repeat().take(4).repeat(2),
    "with options": lambda views: views.with_options(tf.data.Options()),
}
every_source = pytest.mark.parametrize("source", list(SOURCES))


def views_of(source, **arguments):
    arguments = {"batch_size": 12, "augmentation": RECIPES, "seed": 3, **arguments}
    return data.two_views(SOURCES[source](), **arguments)


def first_views(dataset, count):
    return np.stack([view_1 for view_1, _ in dataset.take(count).as_numpy_iterator()])


def image_and_recipe(view):
    """The numbers of the images, and of the recipes, of a view."""
    values = view.ravel().astype("float64")
    recipes = (values // 0.25).astype(int) - 1
    return np.rint((values % 0.25) * 255).astype(int), recipes


class StepTest(TestCase):
    @every_source
    def test_a_stream_gives_the_epochs_of_the_dataset(self, source):
        views = views_of(source)
        epochs = np.concatenate([first_views(views, 3) for _ in range(3)])
        stream = views
        for step in (0, 2, 3, 7):
            from_step = first_views(stream.from_step(step), 9 - step)
            np.testing.assert_array_equal(from_step, epochs[step:])

    @pytest.mark.parametrize("made", list(MADE))
    def test_what_is_made_of_it_knows_its_steps_too(self, made):
        source = "stream" if made == "repeated, taken" else "array"
        views = MADE[made](views_of(source))
        # One pass after the other, as `fit` iterates them.
        passes = [first_views(views, 11) for _ in range(3)]
        steps = np.concatenate([views for views in passes if len(views)])
        assert isinstance(views, data.ViewDataset)
        if views.order.length != np.inf:
            assert int(views.cardinality()) == views.order.length
        else:
            steps = passes[0]
        for step in (0, 1, len(steps) // 2, len(steps) - 1):
            from_step = first_views(views.from_step(step), len(steps) - step)
            np.testing.assert_array_equal(from_step, steps[step:])

    def test_what_is_made_otherwise_is_plain(self):
        views = views_of("array")
        for made in (views.map(lambda *v: v), views.take(1).cache()):
            assert not isinstance(made, data.ViewDataset)

    def test_a_share_of_what_was_taken(self):
        views = views_of("array").skip(1).repeat().take(5)
        whole = first_views(views.from_step(2), 6)
        parts = [first_views(views.from_step(2, Share(2, r, 1)), 6) for r in (0, 1)]
        expected = np.sort(np.floor(whole.reshape(6, -1) % 0.25 * 255 + 0.4), axis=1)
        found = np.concatenate([part.reshape(6, -1) for part in parts], axis=1)
        found = np.sort(np.floor(found % 0.25 * 255 + 0.4), axis=1)
        np.testing.assert_array_equal(found, expected)

    def test_nothing_taken_is_an_empty_dataset(self):
        for empty in (views_of("array").take(0), views_of("array").skip(3)):
            assert list(empty) == [] and not empty.order
            assert list(empty.repeat()) == []

    def test_broken_images_are_left_out_before_batches_are_made(self, tmp_path):
        for index, image in enumerate(np.repeat(IMAGES, 8, axis=1).repeat(8, axis=2)):
            tf.io.write_file(str(tmp_path / f"{index:02}.png"), tf.io.encode_png(image))
        (tmp_path / "00.png").write_bytes(b"broken")
        images = data.load(tmp_path, on_error="skip")
        views = data.two_views(images, batch_size=13, shuffle=False)
        assert len(list(views)) == 3


class ShareTest(TestCase):
    @every_source
    @pytest.mark.parametrize("num_replicas", [2, 4])
    def test_every_replica_has_every_task_and_no_image_comes_twice(
        self, source, num_replicas
    ):
        stream = views_of(source)
        seen = []
        for replica in range(num_replicas):
            share = Share(num_replicas, replica, 1)
            views = first_views(stream.from_step(0, share), 3)
            for view in views:
                images, recipes = image_and_recipe(view)
                size = 12 // num_replicas // 3
                np.testing.assert_array_equal(recipes, np.repeat([0, 1, 2], size))
                seen += images.tolist()
        whole = first_views(stream.from_step(0), 3)
        assert len(set(seen)) == 36
        assert set(seen) == set(image_and_recipe(whole)[0].tolist())

    def test_every_replica_has_every_source(self):
        sources = [IMAGES[:20], IMAGES[20:]]
        stream = data.two_views(sources, batch_size=8)
        both = first_views(stream.from_step(1, Share(4, 1, 2)), 4)
        for view in both:
            low, high = np.rint(view.ravel() * 255)
            assert low < 20 <= high
        whole = np.sort(first_views(stream.from_step(1), 1).ravel())
        replicas = [
            first_views(stream.from_step(1, Share(4, r, 1)), 1).ravel()
            for r in range(4)
        ]
        np.testing.assert_array_equal(np.sort(np.concatenate(replicas)), whole)

    @every_source
    def test_a_worker_gets_the_parts_of_its_replicas_in_turn(self, source):
        stream = views_of(source)
        worker = first_views(stream.from_step(2, Share(4, 2, 2)), 6)
        alone = [first_views(stream.from_step(2, Share(4, r, 1)), 3) for r in (2, 3)]
        np.testing.assert_array_equal(worker[0::2], alone[0])
        np.testing.assert_array_equal(worker[1::2], alone[1])

    def test_replicas_draw_their_own_views(self):
        stream = views_of("array", augmentation=Add(0.25))
        noise = []
        for replica in range(2):
            view = first_views(stream.from_step(0, Share(2, replica, 1)), 1)[0]
            values = view.ravel().astype("float64") - 0.25
            noise.append(values * 255 - np.rint(values * 255))
        assert np.max(np.abs(noise[0] - noise[1])) > 1e-3

    def test_refuses_batches_that_do_not_give_every_replica_every_task(self):
        stream = views_of("array")
        with pytest.raises(ValueError, match=r"8 replicas times 3 recipes.*is: 24"):
            stream.from_step(0, Share(8, 0, 1))
