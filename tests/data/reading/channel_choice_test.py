"""Grey or colour, decided from headers; and that errors of reading are ours."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import keras_tc2 as tc2
from keras_tc2 import data
from keras_tc2.data.reading import channel_choice
from keras_tc2.data.reading.picture_header import channels_of
from keras_tc2.data.reading.read_picture import read_picture
from tests.data.pictures import arrays, noise, smooth, write
from tests.test_case import TestCase

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]
FORMATS = {
    "png": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "jpeg": ["L", "RGB", "CMYK"],
    "tiff": ["1", "L", "RGB", "RGBA", "CMYK", "I;16", "F"],
    "gif": ["L", "P"],
    "webp": ["RGB", "RGBA"],
    "bmp": ["1", "L", "P", "RGB"],
}


def encoded(mode, kind, **options):
    picture = PIL.Image.fromarray(smooth(20, 30))
    if mode in ("I;16", "F"):
        grey = np.asarray(picture.convert("L"))
        picture = PIL.Image.fromarray(
            grey.astype("uint16") * 200 if mode == "I;16" else grey / np.float32(255)
        )
    elif mode != "RGB":
        picture = picture.convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


class HeaderTest(TestCase):
    @pytest.mark.parametrize(
        ("kind", "mode"), [(kind, mode) for kind in FORMATS for mode in FORMATS[kind]]
    )
    def test_says_what_decoding_gives(self, kind, mode):
        content = encoded(mode, kind)
        expected = read_picture(content, max_pixels=10**6).shape[2]
        assert channels_of(io.BytesIO(content)) == expected

    def test_jpeg_whose_frame_comes_late(self):
        exif = PIL.Image.Exif()
        exif[0x010E] = "words " * 9000
        for progressive in (False, True):
            content = encoded("L", "jpeg", exif=exif, progressive=progressive)
            assert len(content) > 50_000
            assert channels_of(io.BytesIO(content)) == 1

    @pytest.mark.parametrize(
        ("shape", "axes"), [((7, 6, 5), "YXC"), ((5, 7, 6), "CYX"), ((5, 7, 6), "ZYX")]
    )
    def test_tiff_of_many_channels(self, shape, axes):
        tifffile = pytest.importorskip("tifffile")
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, noise(shape), photometric="minisblack", metadata={"axes": axes}
        )
        content = buffer.getvalue()
        expected = read_picture(content, max_pixels=10**6).shape[2]
        assert channels_of(io.BytesIO(content)) == expected

    @pytest.mark.parametrize(
        "content", [b"", b"text", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]
    )
    def test_no_image_is_none(self, content):
        assert channels_of(io.BytesIO(content)) is None


class ChoiceTest(TestCase):
    def test_all_grey_stays_grey_and_any_colour_is_colour(self, tmp_path, caplog):
        for index in range(4):
            write(tmp_path / f"{index}.png", noise((4, 4, 1), index))
        assert data.load(tmp_path).element_spec.shape[-1] == 1
        assert not caplog.records
        write(tmp_path / "z.png", noise((4, 4, 3)))
        images = arrays(data.load(tmp_path))
        assert [image.shape for image in images] == [(4, 4, 3)] * 5
        np.testing.assert_array_equal(images[1], np.repeat(noise((4, 4, 1), 1), 3, -1))
        np.testing.assert_array_equal(images[4], noise((4, 4, 3)))
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"{tmp_path} holds grey and colour images")

    def test_colour_first(self, tmp_path):
        write(tmp_path / "a.jpg", smooth(8, 8))
        write(tmp_path / "b.jpg", noise((8, 8, 1)))
        assert [x.shape for x in arrays(data.load(tmp_path))] == [(8, 8, 3)] * 2

    def test_what_was_asked_for_is_not_decided(self, tmp_path, caplog):
        write(tmp_path / "a.png", noise((4, 4, 1)))
        write(tmp_path / "b.png", noise((4, 4, 3)))
        for channels in (1, 3):
            images = arrays(data.load(tmp_path, channels=channels))
            assert [image.shape[-1] for image in images] == [channels] * 2
        assert not caplog.records

    def test_one_colour_image_in_thousands(self):
        items = list(range(5003))
        seen = []

        def of(item):
            seen.append(item)
            return 3 if item == 4321 else 1

        assert channel_choice.choose_channels(items, of, "here") == (3, True)
        assert channel_choice.choose_channels(items, lambda item: 1, "") == (1, False)
        for number in (900, 5003):
            seen.clear()
            channel_choice.choose_channels(
                items[:number], lambda i: seen.append(i) or 1, ""
            )
            assert sorted(seen) == items[:number]
        seen.clear()
        assert channel_choice.choose_channels(items, lambda i: seen.append(i) or 3, "")
        assert len(seen) <= channel_choice.LOOKED_AT_FIRST

    def test_csv_and_records(self, tmp_path):
        contents = []
        for index, channels in enumerate((1, 3, 1)):
            write(tmp_path / f"{index}.png", noise((4, 4, channels)))
            contents.append((tmp_path / f"{index}.png").read_bytes())
        (tmp_path / "list.csv").write_text("path\n0.png\n1.png\n2.png\n")
        with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
            for content in contents:
                value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
                features = tf.train.Features(feature={"image": value})
                writer.write(tf.train.Example(features=features).SerializeToString())
        for source in ("list.csv", "a.tfrecord"):
            images = arrays(data.load(tmp_path / source))
            assert [image.shape[-1] for image in images] == [3] * 3


class UnwrappedTest(TestCase):
    """The message is the sentence alone, whoever reads the dataset."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.root = tmp_path
        for index in range(6):
            write(tmp_path / f"{index}.png", noise((8, 8, 1), index))
        self.broken = tmp_path / "3.png"
        self.broken.write_bytes(self.broken.read_bytes()[:60])
        self.images = data.load(tmp_path)

    def readers(self):
        encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=(4,))
        model = tc2.SSLPretrainer(encoder, objective="nt_xent")
        model.compile("sgd")
        views = data.two_views(self.images, batch_size=6)
        return {
            "iterating": lambda: list(self.images),
            "arrays": lambda: list(self.images.as_numpy_iterator()),
            "views": lambda: list(views),
            "as_arrays": lambda: data.as_arrays(self.images),
            "statistics": lambda: data.channel_statistics(self.images),
            "features": lambda: tc2.transfer.extract_features(encoder, self.images),
            "fit": lambda: model.fit(views, verbose=0),
        }

    def test_everywhere(self):
        for name, read in self.readers().items():
            with pytest.raises(data.ReadingError) as error:
                read()
            text = str(error.value)
            assert text.startswith(f"{self.broken} cannot be decoded"), name
            assert text.endswith('`on_error="skip"`.'), name
            assert error.value.__suppress_context__

    def test_evaluate(self):
        splits = (self.images.map(lambda image: (image, 0)),) * 2
        encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=(4,))
        with (
            pytest.warns(UserWarning, match="KNN failed"),
            pytest.raises(data.ReadingError, match=r"^\S+3\.png cannot be decoded"),
        ):
            tc2.transfer.evaluate(encoder, {"a": splits}, protocols="knn")

    def test_errors_of_others_are_left_alone(self):
        dataset = tf.data.Dataset.range(3).map(
            lambda i: tf.debugging.check_numerics(
                tf.math.log(tf.cast(i, "float32")), ""
            )
        )
        with pytest.raises(tf.errors.InvalidArgumentError):
            data.as_arrays(dataset)

    def test_a_dataset_of_load_is_one_of_tensorflow(self):
        dataset = data.load(np.zeros((4, 2, 2, 1), "uint8"))
        assert isinstance(dataset, tf.data.Dataset)

        @tf.function
        def total():
            count = tf.constant(0)
            for _ in dataset:
                count += 1
            return count

        assert int(total()) == len(dataset) == len(list(dataset.batch(1))) == 4
