"""Every kind of image file that people have, and every way in which it is broken."""

import importlib.util
import struct
import sys
import zlib

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.PngImagePlugin
import pytest
import tensorflow as tf

from keras_tc2 import data
from keras_tc2.data.reading.decode import Decoder
from tests.data.pictures import arrays, noise, smooth, write
from tests.test_case import TestCase


def only(folder, **options):
    """The single image of a folder, as `load` gives it."""
    (image,) = arrays(data.load(folder, **options))
    return image


def exif_of(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def turned(pixels, orientation):
    """Pixels as an image of that orientation is shown."""
    order = np.arange(pixels[..., 0].size, dtype=np.uint8)
    order = PIL.Image.fromarray(order.reshape(pixels.shape[:2]))
    order.getexif()[0x0112] = orientation
    order = np.asarray(PIL.ImageOps.exif_transpose(order))
    return pixels.reshape(-1, pixels.shape[2])[order]


def png_chunk(kind, body):
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
    )


def pillow(path, mode="RGB"):
    return np.asarray(PIL.Image.open(path).convert(mode))


class PlainFormatsTest(TestCase):
    @pytest.mark.parametrize(
        ("suffix", "channels"),
        [(".png", 1), (".PNG", 3), (".bmp", 3), (".gif", 1), (".tif", 3)],
    )
    def test_lossless_pixels_are_exact(self, tmp_path, suffix, channels):
        pixels = noise((9, 7, channels))
        if suffix == ".gif":
            pixels = np.repeat(pixels[..., :1], channels, axis=-1) // 8 * 8
        write(tmp_path / f"a{suffix}", pixels)
        image = only(tmp_path, channels=channels)
        np.testing.assert_array_equal(image, pixels)
        assert image.dtype == np.uint8

    @pytest.mark.parametrize(
        ("suffix", "options"),
        [
            (
                ".mpo",
                {"save_all": True, "append_images": [PIL.Image.new("RGB", (7, 9))]},
            ),
            (".jp2", {}),
            (".avif", {"quality": 100}),
        ],
    )
    def test_kinds_of_cameras_and_the_web(self, tmp_path, suffix, options):
        color = (200, 100, 50)
        PIL.Image.new("RGB", (7, 9), color).save(tmp_path / f"a{suffix}", **options)
        image = only(tmp_path)
        assert image.shape == (9, 7, 3)
        assert np.abs(image.astype(int) - color).max() <= 3

    def test_heic(self, tmp_path):
        heif = pytest.importorskip("pillow_heif")
        picture = PIL.Image.new("RGB", (64, 48), (200, 100, 50))
        heif.from_pillow(picture).save(tmp_path / "a.heic")
        assert only(tmp_path).shape == (48, 64, 3)

    def test_heic_without_its_package(self, tmp_path):
        if importlib.util.find_spec("pillow_heif"):
            pytest.skip("pillow-heif is installed")
        start = b"\0\0\0\x1cftypheic\0\0\0\0mif1heic"
        (tmp_path / "a.heic").write_bytes(start)
        with pytest.raises(data.ReadingError, match=r"needs .*keras-tc2\[heif\]"):
            data.load(tmp_path)

    def test_webp(self, tmp_path):
        pixels = noise((9, 7, 3))
        write(tmp_path / "a.webp", pixels, lossless=True, exact=True)
        np.testing.assert_array_equal(only(tmp_path), pixels)

    @pytest.mark.parametrize(
        ("mode", "progressive"), [("L", False), ("RGB", False), ("RGB", True)]
    )
    def test_jpeg(self, tmp_path, mode, progressive):
        path = tmp_path / "a.jpg"
        picture = PIL.Image.fromarray(smooth(33, 25)).convert(mode)
        picture.save(path, progressive=progressive)
        expected = np.atleast_3d(pillow(path, mode)).astype(int)
        assert np.abs(only(tmp_path) - expected).max() <= 2

    def test_cmyk_jpeg_becomes_rgb(self, tmp_path):
        pixels = smooth(16, 16)
        PIL.Image.fromarray(pixels).convert("CMYK").save(
            tmp_path / "a.jpg", quality=100
        )
        image = only(tmp_path)
        assert image.shape == (16, 16, 3)
        assert np.abs(image.astype(int) - pixels).mean() < 2

    def test_exif_rotation(self, tmp_path):
        pixels = smooth(16, 32)
        # The camera was turned: show it rotated clockwise.
        PIL.Image.fromarray(pixels).save(
            tmp_path / "a.jpg", exif=exif_of(6), quality=100, subsampling=0
        )
        image = only(tmp_path)
        assert image.shape == (32, 16, 3)
        assert np.abs(image.astype(int) - np.rot90(pixels, -1)).mean() < 2

    @pytest.mark.parametrize("channels", [1, 2, 3])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_exif_rotation_of_png(self, tmp_path, dtype, channels):
        pixels = noise((4, 6, channels), dtype=dtype)
        png = tf.io.encode_png(pixels).numpy()
        for orientation in range(1, 9):
            exif = png_chunk(b"eXIf", exif_of(orientation).tobytes())
            path = tmp_path / f"{orientation}.png"
            path.write_bytes(png[:33] + exif + png[33:])
        images = arrays(data.load(tmp_path, channels=channels))
        for orientation, image in enumerate(images, 1):
            scale = 65535 if dtype == np.uint16 else 1
            self.assert_close(image, turned(pixels, orientation) / scale)

    def test_other_words_for_rotation(self, tmp_path):
        """XMP, and the text that ImageMagick writes into PNGs."""
        pixels = np.arange(0, 120, 5, np.uint8).reshape(4, 6)
        picture = PIL.Image.fromarray(pixels)
        xmp = '<rdf:Description tiff:Orientation="6"/>'
        picture.save(tmp_path / "a.jpg", xmp=xmp.encode())
        info = PIL.PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        picture.save(tmp_path / "b.png", pnginfo=info)
        exif = b"Exif\0\0" + exif_of(6).tobytes()
        info = PIL.PngImagePlugin.PngInfo()
        text = f"\nexif\n{len(exif):8}\n{exif.hex()}\n"
        info.add_text("Raw profile type exif", text, zip=True)
        picture.save(tmp_path / "c.png", pnginfo=info)
        assert [x.shape for x in arrays(data.load(tmp_path))] == [(6, 4, 1)] * 3

    def test_first_frame_of_an_animation(self, tmp_path):
        first, second = (np.full((6, 6), value, np.uint8) for value in (40, 200))
        PIL.Image.fromarray(first).save(
            tmp_path / "a.gif",
            save_all=True,
            append_images=[PIL.Image.fromarray(second)],
        )
        np.testing.assert_array_equal(only(tmp_path, channels=1)[..., 0], first)

    def test_one_bit_and_palette(self, tmp_path):
        pixels = np.repeat(noise((5, 6, 1)) // 128 * 255, 3, axis=-1)
        PIL.Image.fromarray(pixels).convert("1").save(tmp_path / "a.png")
        PIL.Image.fromarray(pixels).convert("P").save(tmp_path / "b.png")
        for image in arrays(data.load(tmp_path, channels=3)):
            np.testing.assert_array_equal(image, pixels)

    def test_one_pixel(self, tmp_path):
        write(tmp_path / "a.png", noise((1, 1, 3)))
        assert only(tmp_path).shape == (1, 1, 3)

    def test_content_counts_not_the_suffix(self, tmp_path):
        write(tmp_path / "a.jpg", smooth(8, 8), format="PNG")
        np.testing.assert_array_equal(only(tmp_path), smooth(8, 8))

    def test_plain_files_are_decoded_by_tensorflow(self, tmp_path, monkeypatch):
        write(tmp_path / "a.png", noise((5, 5, 3)))
        write(tmp_path / "b.jpg", smooth(5, 5))
        dataset = data.load(tmp_path)
        monkeypatch.setattr(Decoder, "read", None)
        assert len(arrays(dataset)) == 2


class AlphaTest(TestCase):
    def test_transparent_images_are_laid_on_white(self, tmp_path):
        pixels = noise((8, 6, 4))
        write(tmp_path / "a.png", pixels)
        alpha = pixels[..., 3:] / 255
        expected = np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha))
        np.testing.assert_array_equal(only(tmp_path), expected)

    def test_grey_with_alpha(self, tmp_path):
        pixels = noise((8, 6, 2))
        PIL.Image.fromarray(pixels, "LA").save(tmp_path / "a.png")
        alpha = pixels[..., 1:] / 255
        expected = np.rint(pixels[..., :1] * alpha + 255 * (1 - alpha))
        np.testing.assert_array_equal(only(tmp_path), expected)

    def test_four_channels_on_request(self, tmp_path):
        pixels = noise((8, 6, 4))
        write(tmp_path / "a.png", pixels)
        np.testing.assert_array_equal(only(tmp_path, channels=4), pixels)

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_a_color_that_is_transparent(self, mode, tmp_path):
        """Behind a colour profile that is longer than most headers."""
        path = tmp_path / "a.png"
        pixels = np.full((2, 2, 3), [10, 20, 30], np.uint8)
        pixels[0] = [200, 0, 0]
        picture = PIL.Image.fromarray(pixels).convert(mode)
        shown = np.array(picture).reshape(2, 2, -1)
        expected = np.where(shown == shown[1], 255, shown)
        key = picture.getpixel((0, 1))
        profile = np.random.default_rng(0).bytes(10**5)
        picture.save(path, transparency=key, icc_profile=profile)
        np.testing.assert_array_equal(only(tmp_path), expected)

    def test_transparent_palette(self, tmp_path):
        picture = PIL.Image.new("P", (4, 4), 1)
        picture.putpalette([0, 0, 0, 10, 20, 30])
        picture.putpixel((2, 1), 0)
        picture.save(tmp_path / "a.png", transparency=0)
        image = only(tmp_path)
        assert image[1, 2].tolist() == [255, 255, 255]
        assert image[0, 0].tolist() == [10, 20, 30]


class DeepPixelsTest(TestCase):
    @pytest.mark.parametrize("channels", [1, 3])
    def test_png_of_16_bits_keeps_them(self, tmp_path, channels):
        pixels = noise((6, 5, channels), dtype=np.uint16)
        (tmp_path / "a.png").write_bytes(tf.io.encode_png(pixels).numpy())
        image = only(tmp_path)
        assert image.dtype == np.float32
        self.assert_close(image, pixels / 65535)

    def test_16_bits_as_8(self, tmp_path):
        pixels = noise((6, 5, 1), dtype=np.uint16)
        (tmp_path / "a.png").write_bytes(tf.io.encode_png(pixels).numpy())
        image = only(tmp_path, dtype="uint8")
        np.testing.assert_array_equal(image, np.rint(pixels / 257.0))

    def test_8_bits_as_float(self, tmp_path):
        pixels = noise((6, 5, 3))
        write(tmp_path / "a.png", pixels)
        self.assert_close(only(tmp_path, dtype="float32"), pixels / 255)

    def test_tiff_of_16_bits(self, tmp_path):
        pixels = noise((6, 5), dtype=np.uint16)
        write(tmp_path / "a.tif", pixels)
        self.assert_close(only(tmp_path)[..., 0], pixels / 65535)

    def test_value_range(self, tmp_path):
        pixels = np.array([[0, 1000, 6000], [10000, 11000, 65535]], np.uint16)
        write(tmp_path / "a.tif", pixels)
        image = only(tmp_path, value_range=(1000, 11000))
        self.assert_close(image[..., 0], [[0, 0, 0.5], [0.9, 1, 1]])
        image = only(tmp_path, value_range=(1000, 11000), dtype="uint8")
        assert image[..., 0].tolist() == [[0, 0, 128], [230, 255, 255]]


class TiffTest(TestCase):
    @pytest.fixture(autouse=True)
    def tifffile(self):
        self.tifffile = pytest.importorskip("tifffile")

    @pytest.mark.parametrize("channels", [2, 12])
    def test_many_channels(self, tmp_path, channels):
        pixels = noise((7, 6, channels))
        self.tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig"
        )
        np.testing.assert_array_equal(only(tmp_path), pixels)

    def test_channels_in_planes(self, tmp_path):
        pixels = noise((5, 7, 6))
        self.tifffile.imwrite(
            tmp_path / "a.tif",
            pixels,
            photometric="minisblack",
            planarconfig="separate",
        )
        np.testing.assert_array_equal(only(tmp_path), np.moveaxis(pixels, 0, -1))

    def test_channels_in_pages(self, tmp_path):
        pixels = noise((5, 7, 6), dtype=np.uint16)
        self.tifffile.imwrite(tmp_path / "a.tif", pixels, metadata={"axes": "CYX"})
        image = only(tmp_path)
        self.assert_close(image, np.moveaxis(pixels, 0, -1) / 65535)

    def test_first_page_of_a_stack(self, tmp_path):
        pixels = noise((5, 7, 6))
        self.tifffile.imwrite(tmp_path / "a.tif", pixels, metadata={"axes": "ZYX"})
        np.testing.assert_array_equal(only(tmp_path)[..., 0], pixels[0])

    def test_16_bit_colour(self, tmp_path):
        pixels = noise((6, 5, 3), dtype=np.uint16)
        self.tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
        self.assert_close(only(tmp_path), pixels / 65535)

    @pytest.mark.parametrize("orientation", [5, 6])
    def test_rotation_of_16_bit_colour(self, tmp_path, orientation):
        pixels = noise((6, 5, 3), dtype=np.uint16)
        tag = (274, "H", 1, orientation, True)
        self.tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="rgb", extratags=[tag]
        )
        self.assert_close(only(tmp_path), turned(pixels, orientation) / 65535)

    @pytest.mark.parametrize("with_package", [True, False])
    def test_scans_of_one_bit(self, tmp_path, monkeypatch, with_package):
        if not with_package:
            monkeypatch.setitem(sys.modules, "tifffile", None)
        pixels = noise((7, 6, 1)) // 128 * 255
        picture = PIL.Image.fromarray(pixels[..., 0]).convert("1")
        picture.save(tmp_path / "a.tif", compression="group4")
        np.testing.assert_array_equal(only(tmp_path), pixels)

    def test_float(self, tmp_path):
        pixels = np.linspace(0, 1, 60, dtype=np.float32).reshape(5, 6, 2)
        self.tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig"
        )
        self.assert_close(only(tmp_path), pixels)

    def test_float_beyond_one_needs_a_range(self, tmp_path):
        pixels = np.linspace(-3, 5, 30, dtype=np.float32).reshape(5, 6)
        self.tifffile.imwrite(tmp_path / "a.tif", pixels)
        for dtype in (None, "uint8"):
            with pytest.raises(ValueError, match=r"a\.tif.*from -3 to 5.*value_range"):
                only(tmp_path, dtype=dtype)
        image = only(tmp_path, value_range=(-3, 5))
        self.assert_close(image[..., 0], (pixels + 3) / 8)

    def test_nan_is_named(self, tmp_path):
        pixels = np.full((5, 6), np.nan, np.float32)
        self.tifffile.imwrite(tmp_path / "a.tif", pixels)
        with pytest.raises(ValueError, match=r"a\.tif holds NaN"):
            only(tmp_path)

    def test_message_names_the_missing_package(self, tmp_path, monkeypatch):
        pixels = noise((7, 6, 5))
        self.tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig"
        )
        monkeypatch.setitem(sys.modules, "tifffile", None)
        with pytest.raises(ValueError, match=r"keras-tc2\[tiff\]"):
            only(tmp_path)

    def test_plain_tiff_without_the_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "tifffile", None)
        pixels = noise((7, 6, 3))
        write(tmp_path / "a.tif", pixels)
        np.testing.assert_array_equal(only(tmp_path), pixels)


def png_that_claims(width, height):
    """A few bytes that say they are a huge image."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + png_chunk(b"IEND", b"")
    )


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def make_broken(kind, path):
    """Writes a broken image, `path` without its suffix; returns its name."""
    if kind == "zero bytes":
        path = path.with_suffix(".png")
        path.write_bytes(b"")
    elif kind == "truncated png":
        path = write(path.with_suffix(".png"), noise((20, 20, 3)))
        truncated(path)
    elif kind == "truncated jpeg":
        path = write(path.with_suffix(".jpg"), smooth(64, 64))
        truncated(path)
    elif kind == "text":
        path = path.with_suffix(".png")
        path.write_text("this is not an image")
    elif kind == "bomb":
        path = path.with_suffix(".png")
        path.write_bytes(png_that_claims(100_000, 100_000))
    elif kind == "flipped bits":
        path = write(path.with_suffix(".png"), noise((20, 20, 3)))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    elif kind == "wrong channels":
        path = write(path.with_suffix(".tif"), np.zeros((20, 20, 3), np.uint8))
        five = noise((20, 20, 5))
        pytest.importorskip("tifffile").imwrite(
            path, five, photometric="minisblack", planarconfig="contig"
        )
    return path.name


BROKEN = {
    "zero bytes": "empty",
    "truncated png": "truncated",
    "truncated jpeg": "cannot be decoded: OSError",
    "text": "not an image",
    "bomb": "refused|max_pixels",
    "flipped bits": "cannot be decoded",
    "wrong channels": "has 5 channels where 3 are expected",
}


class BrokenFilesTest(TestCase):
    def folder(self, tmp_path, kind, place):
        for index in range(6):
            write(tmp_path / f"good{index}.png", noise((9, 9, 3), index))
        return make_broken(kind, tmp_path / f"good{place}x")

    @pytest.mark.parametrize(
        ("kind", "place"), [*((kind, 2) for kind in BROKEN), ("text", 5)]
    )
    def test_raise_names_file_and_reason(self, tmp_path, kind, place):
        name = self.folder(tmp_path, kind, place)
        dataset = data.load(tmp_path)
        with pytest.raises(data.ReadingError, match=BROKEN[kind]) as error:
            arrays(dataset)
        assert name in str(error.value)

    @pytest.mark.parametrize("kind", ["zero bytes", "flipped bits", "wrong channels"])
    def test_skip_leaves_out_only_the_broken(self, tmp_path, kind, caplog):
        name = self.folder(tmp_path, kind, 2)
        dataset = data.load(tmp_path, on_error="skip", max_skipped_share=0.2)
        images = arrays(dataset)
        assert len(images) == 6
        for index, image in enumerate(images):
            np.testing.assert_array_equal(image, noise((9, 9, 3), index))
        assert f"Skipped 1 images of {tmp_path}" in caplog.text
        assert name in caplog.text

    def test_first_file_broken(self, tmp_path):
        write(tmp_path / "b.png", noise((9, 9, 3)))
        (tmp_path / "a.png").write_bytes(b"")
        with pytest.raises(ValueError, match=r"a\.png is empty"):
            data.load(tmp_path)
        dataset = data.load(tmp_path, on_error="skip", max_skipped_share=0.5)
        assert len(arrays(dataset)) == 1

    def test_share_of_skipped_files_is_limited(self, tmp_path):
        for index in range(20):
            write(tmp_path / f"{index:02}.png", noise((9, 9, 3), index))
        for index in (3, 8, 19):
            (tmp_path / f"{index:02}.png").write_bytes(b"")
        message = r"More than 10.0% of 20 images.*03\.png.*08\.png.*19\.png"
        with pytest.raises(data.ReadingError, match=message):
            data.load(tmp_path, on_error="skip")
        dataset = data.load(tmp_path, on_error="skip", max_skipped_share=0.15)
        assert len(arrays(dataset)) == 17

    def test_first_ten_are_named(self, tmp_path, caplog):
        write(tmp_path / "good.png", noise((9, 9, 3)))
        for index in range(13):
            (tmp_path / f"z{index:02}.png").write_bytes(b"")
        dataset = data.load(tmp_path, on_error="skip", max_skipped_share=1)
        assert len(arrays(dataset)) == 1
        assert "Skipped 13 images" in caplog.text
        assert "z09.png" in caplog.text and "z10.png" not in caplog.text
        assert "and 3 more" in caplog.text
        caplog.clear()
        assert len(arrays(dataset)) == 1
        assert not caplog.records

    def test_number_is_known(self, tmp_path):
        self.folder(tmp_path, "truncated png", 2)
        dataset = data.load(tmp_path, on_error="skip", max_skipped_share=0.2)
        assert len(dataset) == 6
        assert len(data.two_views(dataset, batch_size=3)) == 2

    def test_one_that_breaks_later_is_replaced(self, tmp_path, caplog):
        self.folder(tmp_path, "zero bytes", 2)
        dataset = data.load(tmp_path, on_error="skip", max_skipped_share=0.5)
        views = data.two_views(dataset, batch_size=3)
        (tmp_path / "good3.png").unlink()
        images = arrays(dataset)
        assert len(images) == 6
        np.testing.assert_array_equal(images[5], images[0])
        np.testing.assert_array_equal(images[3], noise((9, 9, 3), 4))
        assert len(arrays(views)) == 2
        assert "Skipped 2 images" in caplog.text and "good3.png" in caplog.text

    def test_nothing_readable(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"")
        with pytest.raises(ValueError, match=r"None of the first.*a\.png is empty"):
            data.load(tmp_path, on_error="skip", max_skipped_share=1)

    def test_labels_stay_with_their_images(self, tmp_path):
        for index in range(6):
            write(
                tmp_path / f"{index % 2}/{index}.png", np.full((4, 4, 3), index, "u1")
            )
        (tmp_path / "0" / "2.png").write_bytes(b"")
        dataset = data.load(
            tmp_path, labels=True, on_error="skip", max_skipped_share=0.2
        )
        pairs = [(int(image[0, 0, 0]), int(label)) for image, label in arrays(dataset)]
        assert pairs == [(0, 0), (4, 0), (1, 1), (3, 1), (5, 1)]

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
    def test_pixel_limit(self, tmp_path, suffix):
        write(tmp_path / "a.png", noise((4, 4, 3)))
        write(tmp_path / f"b{suffix}", noise((20, 30, 3)))
        dataset = data.load(tmp_path, max_pixels=599)
        with pytest.raises(data.ReadingError, match="30×20 = 600 pixels"):
            arrays(dataset)
        assert len(arrays(data.load(tmp_path, max_pixels=600))) == 2

    def test_file_that_vanished(self, tmp_path):
        for name in "ab":
            write(tmp_path / f"{name}.png", noise((4, 4, 3)))
        dataset = data.load(tmp_path)
        (tmp_path / "b.png").unlink()
        message = r"b\.png cannot be opened: No such file"
        with pytest.raises(data.ReadingError, match=message):
            arrays(dataset)
