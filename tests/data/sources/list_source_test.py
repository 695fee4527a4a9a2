"""Lists of paths, of Pillow's images and of arrays, and labels that are given apart."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_tc2 import data
from tests.data.pictures import arrays, noise, write
from tests.test_case import TestCase

IMAGES = noise((4, 6, 5, 3))
LABELS = [1, 0, 2, 1]
NAMES = ["dog", "cat", "eel", "dog"]


def pictures():
    return [PIL.Image.fromarray(image) for image in IMAGES]


def assert_holds(dataset, labels=None, images=IMAGES):
    elements = arrays(dataset)
    if labels is not None:
        assert [int(label) for _, label in elements] == labels
        elements = [image for image, _ in elements]
    assert len(elements) == len(images)
    for image, expected in zip(elements, images, strict=True):
        np.testing.assert_array_equal(image, expected)


@pytest.fixture
def paths(tmp_path):
    return [write(tmp_path / f"{i}.png", image) for i, image in enumerate(IMAGES)]


class ListTest(TestCase):
    def test_paths(self, paths):
        for source in (
            paths,
            tuple(paths),
            [str(path) for path in paths],
            np.array([str(path) for path in paths]),
        ):
            assert_holds(data.load(source))
            assert_holds(data.load(source, labels=LABELS), LABELS)
            assert_holds(data.load((source, LABELS), labels=True), LABELS)
            assert_holds(data.load((source, LABELS)))

    def test_two_of_a_kind_are_no_pair(self, paths):
        assert_holds(data.load(paths[:2]), images=IMAGES[:2])
        assert_holds(data.load(list(IMAGES[:2])), images=IMAGES[:2])
        assert_holds(data.load(tuple(pictures()[:2])), images=IMAGES[:2])

    def test_in_memory(self):
        sources = (list(IMAGES), pictures(), [tf.constant(image) for image in IMAGES])
        for source in sources:
            assert_holds(data.load(source))
            assert_holds(data.load(source, labels=tuple(LABELS)), LABELS)

    def test_names(self, paths):
        for source in (paths, list(IMAGES), pictures(), IMAGES):
            dataset = data.load(source, labels=NAMES)
            assert_holds(dataset, LABELS)
            assert dataset.class_names == ["cat", "dog", "eel"]
            names = ["eel", "dog", "cat"]
            dataset = data.load(source, labels=NAMES, class_names=names)
            assert_holds(dataset, [1, 2, 0, 1])
            dataset = data.load(source, labels=LABELS, class_names=names)
            assert_holds(dataset, LABELS)
            assert dataset.class_names == names
            with pytest.raises(ValueError, match=r"below.*2. Received: label 2"):
                data.load(source, labels=LABELS, class_names=["dog", "cat"])

    @pytest.mark.parametrize("shape", [(4,), (4, 1)])
    def test_an_array_without_channels_and_labels(self, shape):
        labels = np.reshape(LABELS, shape)
        for arguments in ({"labels": True}, {}):
            with pytest.raises(ValueError, match=r"grey images pass `images\[..., No"):
                data.load((IMAGES[..., 0], labels), **arguments)
        with pytest.raises(ValueError, match=r"grey images pass `images\[..., No"):
            data.load(IMAGES[..., 0], labels=labels)

    def test_sizes(self):
        sources = [np.full((size, 2 * size), 51 * size, np.uint8) for size in (2, 4)]
        with pytest.raises(ValueError, match=r"pass `image_size`.*\(2, 4, 1\)"):
            data.load(sources)
        expected = [np.full((3, 3, 1), value) for value in (102, 204)]
        assert_holds(data.load(sources, image_size=3), images=expected)
        floats = [source / 255 for source in sources]
        for image, values in zip(
            arrays(data.load(floats, image_size=3)), expected, strict=True
        ):
            self.assert_close(image, values / 255)

    def test_grey_among_colour(self):
        mixed = [PIL.Image.new("L", (2, 2), 7), PIL.Image.new("RGB", (2, 2), (1, 2, 3))]
        grey, colour = [np.full((2, 2, 3), value) for value in (7, [1, 2, 3])]
        assert_holds(data.load(mixed), images=[grey, colour])
        assert_holds(
            data.load(mixed, channels=1), images=[grey[..., :1], grey[..., :1] * 0 + 2]
        )

    def test_transparent_pictures(self):
        picture = PIL.Image.new("RGBA", (2, 2), (0, 0, 0, 0))
        assert_holds(data.load([picture]), images=[np.full((2, 2, 3), 255)])
        assert_holds(data.load([picture], channels=4), images=[np.zeros((2, 2, 4))])

    def test_views(self, paths):
        for source in (paths, list(IMAGES), pictures()):
            views = data.two_views(data.load(source), batch_size=2)
            assert len(views) == 2 and views.element_spec[0].shape == (2, 6, 5, 3)


class RefusedTest(TestCase):
    @pytest.mark.parametrize(
        ("source", "options", "message"),
        [
            ([], {}, "is empty"),
            (["a.png", IMAGES[0]], {}, "path, and ndarray as number 1"),
            (list(IMAGES), {"labels": True}, r"pass the labels of the list"),
            (list(IMAGES), {"labels": [0, 1]}, r"shape \(2,\) for 4 images"),
            (["a.png"] * 4, {"labels": NAMES[:3]}, r"shape \(3,\) for 4 images"),
            (list(IMAGES), {"labels": 3}, "must be True, False, or a sequence"),
            ("pictures", {"labels": LABELS}, "have their own, `labels=True`"),
            ([IMAGES[0], IMAGES[1] / 255], {}, r"one dtype.*'float64', 'uint8'"),
            ([IMAGES[0], IMAGES[1][..., :2]], {}, "Image 1 has 2 channels where 3"),
            ([IMAGES[0] / 1.0], {}, "in image 0"),
            (list(IMAGES), {"split": "test"}, "A list has no splits"),
        ],
    )
    def test_said(self, source, options, message):
        with pytest.raises(ValueError, match=message):
            data.load(source, **options)

    def test_missing_file(self, paths):
        dataset = data.load([*paths, "nothing.png"])
        with pytest.raises(data.ReadingError, match=r"nothing\.png cannot be opened"):
            arrays(dataset)
        assert_holds(
            data.load([*paths, "no.png"], on_error="skip", max_skipped_share=1)
        )
