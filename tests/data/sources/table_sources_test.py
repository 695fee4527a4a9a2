"""CSV, NumPy, HDF5, TFRecord and Hugging Face sources."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tc2 import data
from tests.data.pictures import arrays, noise, smooth, write
from tests.test_case import TestCase

IMAGES = noise((5, 6, 4, 3))
LABELS = np.array([1, 0, 2, 1, 0])


def assert_holds(dataset, images=IMAGES, labels=None):
    """The dataset yields exactly these images, and these labels if it has any."""
    elements = arrays(dataset)
    if labels is not None:
        assert [int(label) for _, label in elements] == list(labels)
        assert dataset.element_spec[1] == tf.TensorSpec((), tf.int64)
        elements = [image for image, _ in elements]
    np.testing.assert_array_equal(np.stack(elements), images)


class CSVTest(TestCase):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.root = tmp_path
        for index, image in enumerate(IMAGES):
            write(tmp_path / "pictures" / f"{index}.png", image)

    def csv(self, *lines):
        path = self.root / "list.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    def rows(self, labels):
        return [f"pictures/{index}.png,{label}" for index, label in enumerate(labels)]

    def test_numbers(self):
        path = self.csv("path,label", *self.rows(LABELS))
        assert_holds(data.load(path, labels=True), labels=LABELS)
        assert_holds(data.load(path))

    def test_names(self):
        path = self.csv("path,label", *self.rows(["dog", "cat", "eel", "dog", "cat"]))
        assert_holds(data.load(path, labels=True), labels=LABELS)
        names = ["eel", "dog", "cat"]
        labelled = data.load(path, labels=True, class_names=names)
        assert_holds(labelled, labels=[1, 2, 0, 1, 2])
        with pytest.raises(ValueError, match=r"class_names.*'eel'"):
            data.load(path, labels=True, class_names=["dog", "cat"])

    def test_splits(self):
        splits = ["train", "test", "train", "test", "train"]
        rows = [
            f"{row},{split}"
            for row, split in zip(self.rows(LABELS), splits, strict=True)
        ]
        path = self.csv("path,label,split", *rows)
        assert_holds(data.load(path, "test"), IMAGES[1::2])
        with pytest.raises(ValueError, match="no images of split 'valid'"):
            data.load(path, "valid")

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["path", "pictures/0.png"], r"columns \['path', 'label'\]"),
            (
                ["path,label", "pictures/0.png,1", "pictures/1.png,"],
                "line 3: the label",
            ),
            (["path,label", ",1"], "line 2: the path is missing"),
            (["path,label", "pictures/0.png,1"], "at least two classes"),
            (["path,label", "pictures/0.png,1", "pictures/1.png,-1"], ">= 0"),
            (["path,label"], "no images"),
        ],
    )
    def test_errors(self, lines, message):
        with pytest.raises(ValueError, match=message):
            data.load(self.csv(*lines), labels=True)

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("header", [True, False])
    def test_dialects(self, delimiter, header):
        names = ["dog", "cat", "two words, and more", "dog", "cat"]
        lines = ["label,path"] if header else []
        lines += [f'"{name}",pictures\\{index}.png' for index, name in enumerate(names)]
        if delimiter != ",":
            lines = [delimiter.join(line.rsplit(",", 1)) for line in lines]
        labelled = data.load(self.csv(*lines), labels=True)
        assert_holds(labelled, labels=[1, 0, 2, 1, 0])
        assert labelled.class_names == ["cat", "dog", "two words, and more"]

    def test_one_column_without_header(self):
        paths = [f"pictures/{index}.png" for index in range(5)]
        assert_holds(data.load(self.csv(*paths)))
        with pytest.raises(ValueError, match=r"must have a header line.*'label'"):
            data.load(self.csv(*paths), labels=True)
        with pytest.raises(ValueError, match=r"no header line, and of 3 columns"):
            data.load(self.csv(*[f"{path},1,train" for path in paths]))

    def test_columns_of_other_names(self):
        path = self.csv("photo,kind", *self.rows(LABELS))
        keys = {"image_key": "photo", "label_key": "kind"}
        assert_holds(data.load(path, labels=True, **keys), labels=LABELS)
        with pytest.raises(ValueError, match="`image_key`"):
            data.load(path)

    def test_names_of_classes(self):
        path = self.csv("path,label", *self.rows(LABELS))
        assert data.load(path, labels=True).class_names is None
        path = self.csv("path,label", *self.rows(["dog", "cat", "eel", "dog", "cat"]))
        assert data.load(path, labels=True).class_names == ["cat", "dog", "eel"]
        assert data.load(path).class_names is None
        names = ["eel", "dog", "cat"]
        labelled = data.load(path, labels=True, class_names=names, on_error="skip")
        assert labelled.class_names == names

    def test_names_of_numbers(self):
        path = self.csv("path,label", *self.rows(["1", "0", "2", "1", "0"]))
        names = ["cat", "dog", "eel"]
        labelled = data.load(path, labels=True, class_names=names)
        assert_holds(labelled, labels=[1, 0, 2, 1, 0])
        assert labelled.class_names == names
        with pytest.raises(ValueError, match=r"below.*2. Received: label 2"):
            data.load(path, labels=True, class_names=names[:2])
        digits = data.load(path, labels=True, class_names=["2", "1", "0"])
        assert_holds(digits, labels=[1, 2, 0, 1, 2])

    def test_missing_file_is_named(self):
        path = self.csv("path", "pictures/0.png", "pictures/nothing.png")
        with pytest.raises(data.ReadingError, match=r"nothing\.png cannot"):
            arrays(data.load(path))


class Frame(dict):
    """What is needed of a data frame of pandas, which need not be installed."""

    def __init__(self, columns):
        super().__init__(columns)
        self.columns, self.iloc = list(columns), None
        self.index = range(len(next(iter(columns.values()))))


class DataFrameTest(TestCase):
    def frame(self, tmp_path, labels, **columns):
        paths = [
            write(tmp_path / f"{index}.png", image)
            for index, image in enumerate(IMAGES)
        ]
        return Frame({"filename": paths, "class": labels, **columns})

    def test_columns(self, tmp_path):
        frame = self.frame(tmp_path, ["dog", "cat", "eel", "dog", "cat"])
        assert_holds(data.load(frame))
        labelled = data.load(frame, labels=True)
        assert_holds(labelled, labels=LABELS)
        assert labelled.class_names == ["cat", "dog", "eel"]

    def test_numbers_and_splits(self, tmp_path):
        splits = ["a", "b", "a", "a", "a"]
        frame = self.frame(tmp_path, LABELS, split=splits)
        assert_holds(data.load(frame, "b"), IMAGES[1:2])
        labelled = data.load(frame, "a", labels=True)
        assert_holds(labelled, IMAGES[[0, 2, 3, 4]], labels=LABELS[[0, 2, 3, 4]])

    def test_missing(self, tmp_path):
        frame = self.frame(tmp_path, [0, 1, float("nan"), 0, 1])
        with pytest.raises(ValueError, match="row 2: the label is missing"):
            data.load(frame, labels=True)
        with pytest.raises(ValueError, match=r"'class'\].*pass `image_key`"):
            data.load(Frame({"class": LABELS}))

    def test_of_pandas(self, tmp_path):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(dict(self.frame(tmp_path, LABELS)))
        assert_holds(data.load(frame, labels=True), labels=LABELS)


class NumpyFileTest(TestCase):
    def test_uint8(self, tmp_path):
        np.save(tmp_path / "a.npy", IMAGES)
        assert_holds(data.load(tmp_path / "a.npy"))

    def test_is_not_read_at_once(self, tmp_path, monkeypatch):
        np.save(tmp_path / "a.npy", IMAGES)
        opened = []
        load = np.load

        def spy(path, **options):
            opened.append(load(path, **options))
            return opened[-1]

        monkeypatch.setattr(np, "load", spy)
        data.load(tmp_path / "a.npy")
        assert isinstance(opened[0], np.memmap)

    def test_memory_map_with_labels(self, tmp_path):
        np.save(tmp_path / "a.npy", IMAGES)
        pair = (np.load(tmp_path / "a.npy", mmap_mode="r"), LABELS)
        assert_holds(data.load(pair, labels=True), labels=LABELS)
        with pytest.raises(ValueError, match="images only; pass the pair"):
            data.load(tmp_path / "a.npy", labels=True)

    def test_nan_is_named_when_it_is_read(self, tmp_path):
        images = np.zeros((5, 2, 2, 1), np.float32)
        images[3, 1, 0] = np.nan
        np.save(tmp_path / "a.npy", images)
        dataset = data.load(tmp_path / "a.npy")
        with pytest.raises(data.ReadingError, match="in image 3"):
            arrays(dataset)

    def test_shuffled_batches(self, tmp_path):
        images = np.arange(64, dtype=np.uint8).reshape(64, 1, 1, 1)
        np.save(tmp_path / "a.npy", images)
        views = data.two_views(data.load(tmp_path / "a.npy"), batch_size=16)
        seen = np.concatenate([view.ravel() * 255 for view, _ in arrays(views)])
        assert sorted(np.rint(seen)) == list(range(64))
        assert list(np.rint(seen)) != list(range(64))


class HDF5Test(TestCase):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path):
        h5py = pytest.importorskip("h5py")
        self.path = tmp_path / "a.h5"
        with h5py.File(self.path, "w") as file:
            file["test/images"] = IMAGES[:2]
            file["test/labels"] = LABELS[:2]
            file["pictures"] = IMAGES
            file["classes"] = LABELS

    def test_groups_are_splits(self):
        dataset = data.load(self.path, "test", labels=True)
        assert_holds(dataset, IMAGES[:2], LABELS[:2])
        with pytest.raises(ValueError, match="without a group 'valid'"):
            data.load(self.path, "valid")

    def test_keys(self):
        dataset = data.load(
            self.path, labels=True, image_key="pictures", label_key="classes"
        )
        assert_holds(dataset, labels=LABELS)
        with pytest.raises(ValueError, match="pass `image_key`"):
            data.load(self.path)
        with pytest.raises(ValueError, match="`image_key` must be one of"):
            data.load(self.path, image_key="nothing")

    @pytest.mark.parametrize("dtype", ["fixed", "variable"])
    def test_names(self, dtype):
        import h5py

        names = ["dög", "cat", "dög", "cat", "ant"]
        of = np.array([name.encode() for name in names])
        with h5py.File(self.path, "a") as file:
            del file["classes"]
            file["classes"] = of if dtype == "fixed" else names
        keys = {"image_key": "pictures", "label_key": "classes"}
        dataset = data.load(self.path, labels=True, **keys)
        assert dataset.class_names == ["ant", "cat", "dög"]
        assert_holds(dataset, labels=[2, 1, 2, 1, 0])

    def test_images_are_read_in_any_order_and_twice(self):
        dataset = data.load(self.path, image_key="pictures")
        assert_holds(dataset.read([3, 3, 1]), IMAGES[[3, 3, 1]])

    def test_an_open_dataset_is_an_array(self):
        import h5py

        with h5py.File(self.path) as file:
            dataset = data.load((file["pictures"], LABELS), labels=True)
            assert_holds(dataset, labels=LABELS)


def example(**features):
    """A serialized `tf.train.Example` of bytes and integers."""

    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    features = {key: feature(value) for key, value in features.items()}
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()


class TFRecordTest(TestCase):
    def write(self, path, records):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)

    def records(self):
        return [
            example(image=tf.io.encode_png(image).numpy(), label=int(label))
            for image, label in zip(IMAGES, LABELS, strict=True)
        ]

    def test_folder_of_shards(self, tmp_path):
        self.write(tmp_path / "a.tfrecord-00001-of-00002", self.records()[3:])
        self.write(tmp_path / "a.tfrecord-00000-of-00002", self.records()[:3])
        names = ["cat", "dog", "eel"]
        labelled = data.load(tmp_path, labels=True, class_names=names)
        assert_holds(labelled, labels=LABELS)
        assert labelled.class_names == names
        assert_holds(data.load(tmp_path / "a.tfrecord-00001-of-00002"), IMAGES[3:])

    def test_broken_record_is_numbered(self, tmp_path, caplog):
        records = self.records()
        records[3] = example(image=b"broken", label=1)
        self.write(tmp_path / "a.tfrecord", records)
        with pytest.raises(data.ReadingError, match=r"record 3.*not an"):
            arrays(data.load(tmp_path / "a.tfrecord"))
        dataset = data.load(tmp_path / "a.tfrecord", labels=True, on_error="skip")
        assert_holds(dataset, IMAGES[[0, 1, 2, 4]], LABELS[[0, 1, 2, 4]])
        assert len(dataset) == 4
        assert "record 3" in caplog.text

    def test_missing_label_is_numbered(self, tmp_path):
        records = self.records()
        records[4] = example(image=tf.io.encode_png(IMAGES[4]).numpy())
        self.write(tmp_path / "a.tfrecord", records)
        dataset = data.load(tmp_path / "a.tfrecord", labels=True)
        with pytest.raises(data.ReadingError, match=r"record 4.*parsed"):
            arrays(dataset)

    def test_keys(self, tmp_path):
        content = tf.io.encode_png(IMAGES[0]).numpy()
        self.write(tmp_path / "a.tfrecord", [example(photo=content)])
        assert_holds(data.load(tmp_path / "a.tfrecord", image_key="photo"), IMAGES[:1])
        with pytest.raises(ValueError, match=r"\['photo'\].*pass `image_key`"):
            data.load(tmp_path / "a.tfrecord")

    def test_empty(self, tmp_path):
        self.write(tmp_path / "a.tfrecord", [])
        with pytest.raises(ValueError, match="holds no records"):
            data.load(tmp_path / "a.tfrecord")


class HuggingFaceTest(TestCase):
    @pytest.fixture(autouse=True)
    def package(self, tmp_path):
        self.datasets = pytest.importorskip("datasets")
        paths = [
            str(write(tmp_path / f"{index}.png", image))
            for index, image in enumerate(IMAGES)
        ]
        rows = {"img": paths, "label": LABELS.tolist(), "other": LABELS.tolist()}
        self.rows = self.datasets.Dataset.from_dict(rows)

    @property
    def pictures(self):
        return self.rows.cast_column("img", self.datasets.Image())

    def test_rows(self):
        names = ["cat", "dog", "eel"]
        labelled = data.load(self.pictures, labels=True, class_names=names)
        assert_holds(labelled, labels=LABELS)
        assert labelled.class_names == names
        assert_holds(data.load(self.pictures.select([3, 1])), IMAGES[[3, 1]])

    def test_embedded_bytes(self):
        content = [tf.io.encode_jpeg(smooth(9, 8), quality=100).numpy()]
        rows = self.datasets.Dataset.from_dict({"image": content}).cast_column(
            "image", self.datasets.Image()
        )
        (image,) = arrays(data.load(rows))
        assert image.shape == (9, 8, 3)
        assert np.abs(image.astype(int) - smooth(9, 8)).mean() < 20

    def test_splits(self):
        splits = self.datasets.DatasetDict(test=self.pictures)
        assert_holds(data.load(splits, "test"))
        with pytest.raises(ValueError, match=r"splits \['test'\]"):
            data.load(splits)

    def test_errors(self):
        with pytest.raises(ValueError, match="Column 'img' must be"):
            data.load(self.rows)
        with pytest.raises(ValueError, match="`label_key` must be one of"):
            data.load(self.pictures, labels=True, label_key="nothing")
        with pytest.raises(TypeError, match="without `streaming`"):
            data.load(self.pictures.to_iterable_dataset())

    def test_broken_row_is_numbered(self):
        broken = [*self.pictures[:2]["img"], {"bytes": b"no", "path": None}]
        rows = self.datasets.Dataset.from_dict(
            {"image": broken},
            features=self.datasets.Features({"image": self.datasets.Image()}),
        )
        with pytest.raises(data.ReadingError, match="row 2 is not an image"):
            arrays(data.load(rows))
        skipping = data.load(rows, on_error="skip", max_skipped_share=0.5)
        assert_holds(skipping, IMAGES[:2])
