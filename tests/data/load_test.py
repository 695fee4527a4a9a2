"""`load`: arrays, datasets, TFDS, formats, and sources that are wrong."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data
from tests.data.pictures import arrays, noise, write
from tests.test_case import TestCase

EMBEDDED = pathlib.Path(__file__).parents[2] / "examples" / "data"
IMAGES = noise((7, 6, 4, 3))
LABELS = np.array([1, 0, 2, 1, 0, 0, 2])


class ArrayTest(TestCase):
    def test_images(self):
        dataset = data.load(IMAGES)
        assert dataset.element_spec == tf.TensorSpec((6, 4, 3), tf.uint8)
        assert len(dataset) == 7
        np.testing.assert_array_equal(np.stack(arrays(dataset)), IMAGES)
        np.testing.assert_array_equal(
            np.stack(arrays(data.load((IMAGES, LABELS)))), IMAGES
        )

    def test_labels(self):
        dataset = data.load((tf.constant(IMAGES), LABELS[:, None]), labels=True)
        assert dataset.element_spec[1] == tf.TensorSpec((), tf.int64)
        assert [int(label) for _, label in arrays(dataset)] == LABELS.tolist()

    def test_float_stays_float(self):
        images = (IMAGES / 255).astype(">f8")
        dataset = data.load(images)
        assert dataset.element_spec.dtype == tf.float32
        self.assert_close(np.stack(arrays(dataset)), images)
        as_bytes = np.stack(arrays(data.load(images, dtype="uint8")))
        np.testing.assert_array_equal(as_bytes, IMAGES)

    def test_channels(self):
        grey = np.stack(arrays(data.load(IMAGES, channels=1)))
        expected = IMAGES @ np.array([0.2989, 0.5870, 0.1140])
        assert np.abs(grey[..., 0] - expected).max() <= 1
        colour = np.stack(arrays(data.load(IMAGES[..., :1], channels=3)))
        np.testing.assert_array_equal(colour, np.repeat(IMAGES[..., :1], 3, -1))

    def test_image_size_is_antialiased(self):
        columns = np.zeros((1, 8, 64, 1), np.uint8)
        columns[:, :, ::8] = 255
        (image,) = arrays(data.load(columns, image_size=(8, 8)))
        assert image.shape == (8, 8, 1) and image.dtype == np.uint8
        assert image[:, 1:-1].min() > 20 and image[:, 1:-1].max() < 50

    @pytest.mark.parametrize("dtype", [np.float32, np.uint16])
    def test_resized_images_stay_in_their_range(self, dtype):
        """Weights with antialiasing do not sum to exactly 1."""
        high = 1 if dtype == np.float32 else 65535
        images = np.array([1.0, 0.5]).reshape(2, 1, 1, 1) * np.ones((1, 28, 28, 1))
        loaded = data.load((images * high).astype(dtype), image_size=24)
        white, grey = arrays(loaded)
        assert white.max() == 1 and grey.max() <= 0.50001
        for view in next(iter(data.two_views(loaded, batch_size=2))):
            assert view.shape == (2, 24, 24, 1)

    def test_other_integers_need_a_range(self):
        images = np.array([-100, 0, 300], np.int16).reshape(3, 1, 1, 1)
        with pytest.raises(ValueError, match="value_range=\\(low, high\\)"):
            data.load(images)
        scaled = np.stack(arrays(data.load(images, value_range=(-100, 300))))
        self.assert_close(scaled.ravel(), [0, 0.25, 1])

    @pytest.mark.parametrize(
        ("images", "message"),
        [
            (np.zeros((5, 4, 4), np.uint8), r"images\[\.\.\., None\]"),
            (np.zeros((0, 4, 4, 3), np.uint8), "none of them 0"),
            (np.zeros((2, 4, 4, 3), bool), "dtype bool"),
            (np.full((2, 4, 4, 3), 1.5), r"from 1\.5 to 1\.5 in image 0"),
            (np.full((2, 4, 4, 3), -0.5), "in image 0"),
            (np.full((2, 4, 4, 3), 1.5).astype("bfloat16"), "in image 0"),
        ],
    )
    def test_wrong_arrays(self, images, message):
        with pytest.raises(ValueError, match=message):
            data.load(images)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_non_finite_pixels_name_the_image(self, value):
        images = np.zeros((2000, 1, 2, 1), np.float32)
        images[1500, 0, 1] = value
        with pytest.raises(ValueError, match="in image 1500"):
            data.load(images)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (LABELS[:-1], r"shape \(6,\) for 7 images"),
            (LABELS.astype(float), "must be integers"),
            (LABELS - 1, "label -1 for image 1"),
            (LABELS * 0, "at least two classes.*all of class 0"),
        ],
    )
    def test_wrong_labels(self, labels, message):
        with pytest.raises(ValueError, match=message):
            data.load((IMAGES, labels), labels=True)

    def test_no_labels_no_splits(self):
        with pytest.raises(ValueError, match="pair \\(images, labels\\)"):
            data.load(IMAGES, labels=True)
        with pytest.raises(ValueError, match=r"no splits.*split='test'"):
            data.load(IMAGES, "test")


class DatasetTest(TestCase):
    def test_images_pairs_and_dicts(self):
        pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS.astype(np.int32)))
        dicts = pairs.map(lambda image, label: {"img": image, "label": label, "id": 0})
        for source in (pairs, dicts):
            elements = arrays(data.load(source, labels=True))
            np.testing.assert_array_equal(np.stack([x for x, _ in elements]), IMAGES)
            assert [int(label) for _, label in elements] == LABELS.tolist()
            np.testing.assert_array_equal(np.stack(arrays(data.load(source))), IMAGES)
        images = pairs.map(lambda image, label: image)
        np.testing.assert_array_equal(np.stack(arrays(data.load(images))), IMAGES)

    def test_class_names(self):
        pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
        names = ["ant", "bee", "cat"]
        named = data.load(pairs, labels=True, class_names=names)
        assert named.class_names == data.load(named, labels=True).class_names == names
        assert data.load(pairs, class_names=names).class_names is None

    @pytest.mark.parametrize("labels", [True, False])
    def test_nothing_is_logged(self, labels, caplog):
        pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
        tf.get_logger().addHandler(caplog.handler)
        try:
            data.load(pairs, labels=labels)
        finally:
            tf.get_logger().removeHandler(caplog.handler)
        assert not caplog.text

    def test_errors(self):
        images = tf.data.Dataset.from_tensor_slices(IMAGES)
        with pytest.raises(ValueError, match="needs a dataset of \\(image, label\\)"):
            data.load(images, labels=True)
        with pytest.raises(ValueError, match="unbatch it"):
            data.load(images.batch(2))
        with pytest.raises(ValueError, match="pass `image_key`"):
            data.load(images.map(lambda image: {"a": image}))
        triples = images.map(lambda image: (image, 0, 0))
        with pytest.raises(ValueError, match="must yield images, pairs"):
            data.load(triples)
        floats = images.map(lambda image: (image, 0.5))
        with pytest.raises(ValueError, match="single integers"):
            data.load(floats, labels=True)
        pairs = images.map(lambda image: (image, 0))
        with pytest.raises(ValueError, match=r"`label_key` is for .* dicts"):
            data.load(pairs, labels=True, label_key="coarse")

    @pytest.mark.parametrize("dtype", [None, "uint8", "float32"])
    def test_floats_out_of_range(self, dtype):
        images = tf.data.Dataset.from_tensor_slices(IMAGES.astype("float32"))
        with pytest.raises(data.ReadingError, match=r"in \[0, 1\].*value_range.* to 2"):
            arrays(data.load(images, dtype=dtype))
        scaled = data.load(images, dtype="uint8", value_range=(0, 255))
        np.testing.assert_array_equal(np.stack(arrays(scaled)), IMAGES)
        unit = data.load(images.map(lambda image: image / 255), dtype="uint8")
        np.testing.assert_array_equal(np.stack(arrays(unit)), IMAGES)

    def test_floats_that_are_not_finite(self):
        images = tf.data.Dataset.from_tensor_slices(IMAGES.astype("float32"))
        images = images.map(lambda image: image * np.nan)
        with pytest.raises(data.ReadingError, match="NaN or infinite"):
            arrays(data.load(images, dtype="uint8", value_range=(0, 255)))


class TFDSTest(TestCase):
    @pytest.mark.parametrize(
        ("source", "data_dir"),
        [
            ("digits_28px", EMBEDDED),
            (EMBEDDED / "digits_28px", None),
            (str(EMBEDDED / "digits_28px" / "1.0.0"), None),
        ],
    )
    def test_name_and_directory(self, source, data_dir):
        dataset = data.load(source, "test[:5]", labels=True, data_dir=data_dir)
        assert dataset.class_names == [str(digit) for digit in range(10)]
        image_spec, label_spec = dataset.element_spec
        assert image_spec == tf.TensorSpec((28, 28, 1), tf.uint8)
        assert label_spec == tf.TensorSpec((), tf.int64)
        assert len(dataset) == 5

    @pytest.mark.parametrize(
        ("label_key", "names"),
        [
            ("label", {"Activities", "Flags", "Smileys & Emotion"}),
            ("artist", {"noto", "twemoji", "fluent"}),
        ],
    )
    def test_embedded_pictures_in_color(self, label_key, names):
        arguments = {"labels": True, "label_key": label_key, "data_dir": EMBEDDED}
        for split, size in (("train", 900), ("test", 240)):
            dataset = data.load("emoji_subset", split, **arguments)
            images, labels = data.as_arrays(dataset)
            assert images.shape == (size, 32, 32, 3) and images.dtype == np.uint8
            assert names <= set(dataset.class_names)
            assert np.ptp(images.astype(int), axis=-1).max() > 200
            counts = np.bincount(labels)
            assert len(counts) == len(dataset.class_names) and counts.min() >= 5
        assert label_key == "label" or set(counts) == {80}

    def test_keys_go_before_those_of_supervised_learning(self, tmp_path):
        folder = tmp_path / "emoji_subset" / "1.0.0"
        shutil.copytree(EMBEDDED / "emoji_subset" / "1.0.0", folder)
        info = folder / "dataset_info.json"
        names = [{"featureKey": "image"}, {"featureKey": "label"}]
        supervised = {"supervisedKeys": {"tuple": {"items": names}}}
        info.write_text(json.dumps({**json.loads(info.read_text()), **supervised}))
        for label_key in (None, "artist"):
            arguments = {"labels": True, "label_key": label_key}
            dataset = data.load(folder, "test[:9]", **arguments)
            known = data.load(EMBEDDED / "emoji_subset", "test[:9]", **arguments)
            assert dataset.class_names == known.class_names
            for found, expected in zip(dataset, known, strict=True):
                np.testing.assert_array_equal(found[0], expected[0])
                assert found[1] == expected[1]
        with pytest.raises(ValueError, match=r"`label_key` must be one of .*'none'"):
            data.load(folder, labels=True, label_key="none")

    def test_what_a_name_stands_for(self, tmp_path, monkeypatch):
        """Prepared in `data_dir`, then a path that exists."""
        write(tmp_path / "digits_28px" / "a.png", noise((5, 5, 3)))
        monkeypatch.chdir(tmp_path)
        assert data.load("digits_28px").element_spec.shape[-1] == 3
        dataset = data.load("digits_28px", data_dir=EMBEDDED)
        assert dataset.element_spec.shape == (28, 28, 1)
        for source in (tmp_path / "digits_28px", str(tmp_path / "digits_28px")):
            assert len(data.load(source, data_dir=EMBEDDED)) == 1
        assert len(data.load("digits_28px", data_dir=tmp_path)) == 1

    def test_format(self):
        dataset = data.load(
            EMBEDDED / "digits_28px", "train[:2]", image_size=14, channels=3
        )
        assert dataset.element_spec == tf.TensorSpec((14, 14, 3), tf.uint8)

    def test_names_of_its_own(self):
        arguments = {"labels": True, "class_names": list("0123456789")}
        dataset = data.load(EMBEDDED / "digits_28px", **arguments)
        assert dataset.class_names == list("0123456789")
        arguments["class_names"] = list("9876543210")
        with pytest.raises(ValueError, match=r"names of its own.*leave out `class_n"):
            data.load(EMBEDDED / "digits_28px", **arguments)

    def test_unknown_split(self):
        with pytest.raises(ValueError, match=r"splits \['test', 'train'\].*'valid'"):
            data.load(EMBEDDED / "digits_28px", "valid")

    def test_unknown_name(self):
        message = (
            "'fashion_mnist_subsett'.*Close names: fashion_mnist_subset.*"
            "Prepared in .*: digits_28px, emoji_subset, fashion_mnist_subset, "
            "mnist_subset"
        )
        with pytest.raises(ValueError, match=message):
            data.load("fashion_mnist_subsett", data_dir=EMBEDDED)

    def test_a_folder_of_datasets_that_is_not_there(self):
        with pytest.raises(ValueError, match="There is no folder 'nowhere/data' in"):
            data.load("fashion_mnist_subset", data_dir="nowhere/data")

    def test_download_that_fails(self, tmp_path, monkeypatch):
        import tensorflow_datasets as tfds

        def offline(*args, **kwargs):
            raise ConnectionError("no network")

        builder = tfds.core.DatasetBuilder
        monkeypatch.setattr(builder, "download_and_prepare", offline)
        message = "'mnist' is not prepared.*no network.*Prepared in .*: nothing"
        with pytest.raises(ValueError, match=message):
            data.load("mnist", data_dir=tmp_path)


class EmbeddedDataTest(TestCase):
    """The datasets of the repository, read by TFDS alone."""

    @pytest.mark.parametrize(
        ("name", "train", "test"),
        [
            ("fashion_mnist_subset", 20_000, 5_000),
            ("mnist_subset", 5_000, 2_000),
            ("digits_28px", 1_000, 797),
        ],
    )
    def test_reads(self, name, train, test):
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(EMBEDDED / name / "1.0.0")
        sizes = {key: split.num_examples for key, split in builder.info.splits.items()}
        assert sizes == {"train": train, "test": test}
        assert builder.info.features["label"].num_classes == 10
        dataset = tfds.load(name, data_dir=EMBEDDED, split="test")
        images = [example["image"] for example in dataset.take(50).as_numpy_iterator()]
        assert np.stack(images).shape == (50, 28, 28, 1)
        assert 10 < np.mean(images) < 130

    def test_size(self):
        total = sum(f.stat().st_size for f in EMBEDDED.rglob("*") if f.is_file())
        assert total <= 13_000_000


class ArgumentsTest(TestCase):
    def test_missing_paths(self, tmp_path):
        for source in (tmp_path / "nothing", "./nothing/at/all", "nothing.csv"):
            with pytest.raises(FileNotFoundError, match="There is no file or folder"):
                data.load(source)

    def test_unknown_sources(self, tmp_path):
        (tmp_path / "a.txt").write_text("")
        (tmp_path / "a.npz").write_bytes(b"")
        for name in ("a.txt", "a.npz"):
            with pytest.raises(ValueError, match=r"what kind of file.*`numpy\.load`"):
                data.load(tmp_path / name)
        with pytest.raises(TypeError, match="Received: int"):
            data.load(3)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"on_error": "ignore"},
            {"dtype": "float64"},
            {"channels": 0},
            {"image_size": 0},
            {"image_size": (3, 4, 5)},
            {"value_range": (3, 3)},
            {"max_skipped_share": 1.5},
            {"max_pixels": 0},
        ],
    )
    def test_wrong_arguments(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"`{name}`"):
            data.load(IMAGES, **arguments)
