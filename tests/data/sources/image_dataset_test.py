"""What `load` returns: chosen by number, and still shuffled completely."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data
from tests.data.pictures import noise, write
from tests.test_case import TestCase

IMAGES = np.arange(12, dtype="uint8").reshape(12, 1, 1, 1)
LABELS = np.arange(12) % 3
NAMES = ["ant", "bee", "cat"]


def of_array(tmp_path, labels=True):
    source = (IMAGES, [NAMES[label] for label in LABELS]) if labels else IMAGES
    return data.load(source, labels=labels)


def of_files(tmp_path, labels=True):
    for number, image in enumerate(IMAGES):
        write(tmp_path / NAMES[number // 4] / f"{number:02}.png", image)
    return data.load(tmp_path, labels=labels)


def of_stream(tmp_path, labels=True):
    parts = (IMAGES, LABELS.astype("int64")) if labels else IMAGES
    return data.load(tf.data.Dataset.from_tensor_slices(parts), labels=labels)


SOURCES = {"array": of_array, "files": of_files, "stream": of_stream}
every_source = pytest.mark.parametrize("source", list(SOURCES))
by_number = pytest.mark.parametrize("source", ["array", "files"])
PARTS = {
    "taken": (lambda x: x.take(5), lambda x: x[:5]),
    "all taken": (lambda x: x.take(-1), lambda x: x),
    "more than all taken": (lambda x: x.take(99), lambda x: x),
    "none taken": (lambda x: x.take(0), lambda x: x[:0]),
    "skipped": (lambda x: x.skip(4), lambda x: x[4:]),
    "all skipped": (lambda x: x.skip(-1), lambda x: x[:0]),
    "shard": (lambda x: x.shard(5, 1), lambda x: x[1::5]),
    "one after the other": (
        lambda x: x.skip(2).shard(2, 1).take(4).prefetch(1).skip(1),
        lambda x: x[2:][1::2][:4][1:],
    ),
}


def numbers_of(images):
    return [int(np.ravel(image)[0]) for image, *_ in images.as_numpy_iterator()]


class ImageDatasetTest(TestCase):
    @every_source
    @pytest.mark.parametrize("part", list(PARTS))
    def test_parts_are_those_of_any_dataset(self, source, part, tmp_path):
        images = SOURCES[source](tmp_path)
        choose, expected = PARTS[part]
        chosen = choose(images)
        assert isinstance(chosen, data.ImageDataset)
        assert numbers_of(chosen) == expected(np.arange(12)).tolist()
        assert int(chosen.cardinality()) == len(expected(np.arange(12)))
        assert chosen.class_names == images.class_names
        if source == "stream":
            assert chosen.source is None and chosen.labels is None
        else:
            np.testing.assert_array_equal(chosen.labels, expected(images.labels))
            given = [int(label) for _, label in chosen.as_numpy_iterator()]
            np.testing.assert_array_equal(given, chosen.labels)

    @by_number
    def test_read_by_number(self, source, tmp_path):
        images = SOURCES[source](tmp_path)
        numbers = [7, 0, 7, 11]
        chosen = images.skip(0).read(numbers)
        assert numbers_of(chosen) == numbers
        np.testing.assert_array_equal(chosen.labels, images.labels[numbers])
        assert chosen.class_names == NAMES
        assert numbers_of(chosen.read(np.array([3, 1]))) == [11, 0]
        assert numbers_of(images.read([])) == []

    @by_number
    @pytest.mark.parametrize("numbers", [[12], [-1], [0.5], [[1]], 3, ["a"], [True]])
    def test_read_no_such_number(self, source, numbers, tmp_path):
        images = SOURCES[source](tmp_path)
        with pytest.raises(ValueError, match="Received"):
            images.read(numbers)

    def test_read_by_number_is_refused_where_it_cannot_be(self, tmp_path):
        with pytest.raises(ValueError, match=r"`take` and `skip`.*as_arrays"):
            of_stream(tmp_path).read([0])

    @by_number
    def test_parts_are_shuffled_completely(self, source, tmp_path):
        images = SOURCES[source](tmp_path, labels=False).skip(4)
        views = data.two_views(images, batch_size=8, shuffle_buffer=1, seed=1)
        epochs = [
            np.rint(next(iter(views))[0].numpy().ravel() * 255).astype(int).tolist()
            for _ in range(2)
        ]
        # Through a buffer of one image, the order would stay.
        assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(4, 12))
        assert epochs[0] != epochs[1] and epochs[0] != sorted(epochs[0])

    def test_options_stay(self, tmp_path):
        options = tf.data.Options()
        options.deterministic = False
        for source in SOURCES.values():
            images = source(tmp_path).with_options(options)
            for part in (images, images.take(3), images.prefetch(1)):
                assert part.options().deterministic is False
                assert part.class_names == images.class_names

    def test_what_is_made_otherwise_is_plain(self, tmp_path):
        images = of_array(tmp_path)
        for made in (images.map(lambda *x: x), images.batch(2), images.repeat()):
            assert not isinstance(made, data.ImageDataset)

    @by_number
    def test_parts_within_a_graph(self, source, tmp_path):
        images = SOURCES[source](tmp_path, labels=False)

        @tf.function
        def pixels():
            parts = images.skip(4).take(3), images.shard(6, 1), images.read([9, 2])
            assert all(isinstance(part, data.ImageDataset) for part in parts)
            return [next(iter(part.batch(9))) for part in parts]

        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            found = [np.ravel(part).tolist() for part in pixels()]
        assert found == [[4, 5, 6], [1, 7], [9, 2]]

    @pytest.mark.parametrize("labels", [True, False])
    def test_parts_of_one_size_of_images_that_differ(self, labels, tmp_path):
        for number, size in enumerate([4, 3, 3, 3, 5]):
            image = noise((size, size, 3))
            write(tmp_path / "aaabb"[number] / f"{number}.png", image)
        images = data.load(tmp_path, labels=labels)
        for part in (images.skip(1).take(3), images.read([2, 1]).shard(1, 0)):
            (view, _), *_ = data.two_views(part, batch_size=2)
            assert view.shape == (2, 3, 3, 3)
        message = r"The first image is \(3, 3, 3\), another is 5"
        with pytest.raises(data.ReadingError, match=message):
            list(data.two_views(images.skip(1), batch_size=4))

    def test_counts_of_a_graph_give_a_plain_dataset(self):
        @tf.function
        def number_of(count):
            taken = data.load(IMAGES).take(count)
            assert not isinstance(taken, data.ImageDataset)
            return taken.reduce(0, lambda number, _: number + 1)

        assert number_of(tf.constant(5, tf.int64)) == 5

    def test_broken_images_stay_out_of_parts(self, tmp_path):
        of_files(tmp_path)
        (tmp_path / "ant" / "01.png").write_bytes(b"broken")
        images = data.load(tmp_path, labels=True, on_error="skip", max_skipped_share=1)
        assert numbers_of(images.skip(1).take(2)) == [2, 3]
        assert numbers_of(images.read([10, 0])) == [11, 0]

    @pytest.mark.parametrize("plain", [True, False])
    def test_a_buffer_that_does_not_hold_all_is_told(self, plain, tmp_path, caplog):
        images = tf.data.Dataset.from_tensor_slices(IMAGES)
        if not plain:
            images = data.load(images)
        data.two_views(images, batch_size=4, shuffle_buffer=6)
        assert ("buffer of 6" in caplog.text) == plain
        caplog.clear()
        data.two_views(images, batch_size=4, shuffle_buffer=12)
        data.two_views(images, batch_size=4, shuffle_buffer=6, shuffle=False)
        assert not caplog.text
