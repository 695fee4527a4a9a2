"""Encoded images of any kind to arrays, by Pillow, tifffile or TensorFlow.

This is the thorough way, one image at a time. `decode.py` has the fast one.
"""

import functools
import io
import warnings

import numpy as np
import tensorflow as tf

# Modes of Pillow that hold more than eight bits a channel, and what they become.
DEEP_MODES = {
    "I;16": np.uint16,
    "I;16L": np.uint16,
    "I;16B": np.uint16,
    "I;16N": np.uint16,
    "I": np.int32,
    "F": np.float32,
}
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_START = b"\x89PNG\r\n\x1a\n"
# A PNG without any of these is upright: EXIF, as ImageMagick writes it, and XMP.
ROTATIONS_OF_PNG = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
_HEIF = "is HEIC, which needs the package pillow-heif: pip install 'keras-tc2[heif]'"
_AVIF = "is AVIF, which this installation of Pillow cannot read"
# By the kind that a file of boxes says it is.
NEEDED = {
    **{b"ftyp" + kind: _HEIF for kind in (b"heic", b"heix", b"mif1", b"heim")},
    **{b"ftyp" + kind: _AVIF for kind in (b"avif", b"avis")},
}


class UnreadablePictureError(ValueError):
    """An image that cannot be read; the message says why, without its name."""


def read_picture(content, *, channels=None, max_pixels):
    """Decodes one image.

    Rotates as EXIF says, turns CMYK to RGB, takes the first frame of an animation and
    lays transparent images on white, unless two (grey) or four channels are asked for.

    Args:
        content: bytes of the file.
        channels: int, how many are wanted, or `None`.
        max_pixels: int. Larger images are refused before they are decoded.

    Returns:
        Array `(height, width, channels)` of the image's own type: uint8, uint16,
        int32 or float32.

    Raises:
        UnreadablePictureError: saying what is wrong with the image.
    """
    if not content:
        raise UnreadablePictureError("is empty (0 bytes)")
    try:
        if content.startswith(TIFF_STARTS):
            image, has_alpha = _read_tiff(content, max_pixels)
        else:
            image, has_alpha = _read_with_pillow(content, max_pixels)
    except UnreadablePictureError:
        raise
    except Exception as error:
        raise UnreadablePictureError(
            f"cannot be decoded: {type(error).__name__}: {error}"
        ) from error
    if has_alpha and image.shape[2] != channels:
        image = lay_on_white(image)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise UnreadablePictureError("holds NaN or infinite pixels")
    return image


def _read_with_pillow(content, max_pixels):
    """`(array, whether the last channel is alpha)`."""
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            picture = open_with_pillow(io.BytesIO(content))
    except PIL.UnidentifiedImageError as error:
        reason = NEEDED.get(content[4:12], "is not an image that can be read")
        raise UnreadablePictureError(reason) from error
    except PIL.Image.DecompressionBombError as error:
        raise UnreadablePictureError(f"is refused by Pillow: {error}") from error
    refuse_bomb(picture.width, picture.height, max_pixels)
    if content.startswith(PNG_START) and content[24] == 16:
        image = tf.io.decode_png(content, dtype=tf.uint16).numpy()
        if any(word in content for word in ROTATIONS_OF_PNG):
            image = _upright(image, picture.getexif().get(ORIENTATION, 1))
        return image, image.shape[2] in (2, 4)
    return picture_pixels(picture)


def open_with_pillow(file):
    """`PIL.Image.open`, which reads HEIC too where `pillow-heif` is installed."""
    import PIL.Image

    _register_heif()
    return PIL.Image.open(file)


@functools.cache
def _register_heif():
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def picture_pixels(picture):
    """The pixels of a `PIL.Image.Image`, upright.

    Returns:
        `(array, has_alpha)`: `(height, width, channels)`, and whether the last channel
        is transparency.
    """
    import PIL.ImageOps

    picture = PIL.ImageOps.exif_transpose(picture)
    if picture.mode in DEEP_MODES:
        return np.asarray(picture).astype(DEEP_MODES[picture.mode])[..., None], False
    mode = _plain_mode(picture)
    image = np.asarray(picture.convert(mode))
    return np.atleast_3d(image), mode in ("LA", "RGBA")


def _plain_mode(picture):
    """The 8-bit mode that keeps all of a picture: L, LA, RGB or RGBA."""
    transparent = picture.has_transparency_data
    if picture.mode in ("1", "L", "LA", "La"):
        return "LA" if transparent else "L"
    return "RGBA" if transparent else "RGB"


def _read_tiff(content, max_pixels):
    """Pillow for plain TIFFs, `tifffile` for many channels, pages or deep colour."""
    try:
        import tifffile
    except ImportError:
        return _read_plain_tiff(content, max_pixels)
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        series = tiff.series[0]
        page = series.keyframe
        refuse_bomb(page.imagewidth, page.imagelength, max_pixels)
        if is_plain(series):
            return _read_with_pillow(content, max_pixels)
        in_series = declares_channels(series)
        # Of a stack only the first page is read, unless its pages are channels.
        image = series.asarray() if in_series else page.asarray()
        axes = series.axes if in_series else page.axes
        image = _upright(_channels_last(image, axes), page.tags.valueof(ORIENTATION, 1))
        return image, page.extrasamples in ((1,), (2,))


def is_plain(series):
    """Whether a series of TIFF pages is a picture that Pillow reads."""
    page = series.keyframe
    of_a_picture = page.samplesperpixel in (1, 3, 4)
    of_a_picture &= page.bitspersample in (1, 2, 4, 8)
    return of_a_picture and not declares_channels(series)


def declares_channels(series):
    """Whether a series of TIFF pages says that an axis of it is channels."""
    return "C" in series.axes


def _read_plain_tiff(content, max_pixels):
    """What Pillow alone reads; the message names the package for the rest."""
    import PIL.Image

    missing = "needs the package tifffile: pip install 'keras-tc2[tiff]'"
    try:
        pages = PIL.Image.open(io.BytesIO(content)).n_frames
    except PIL.UnidentifiedImageError as error:
        raise UnreadablePictureError(f"is a TIFF that {missing}") from error
    if pages > 1:
        raise UnreadablePictureError(f"is a TIFF of {pages} pages, which {missing}")
    return _read_with_pillow(content, max_pixels)


def _channels_last(image, axes):
    """`(height, width, channels)`, from axes named as tifffile names them."""
    for place in reversed(range(len(axes))):
        if axes[place] not in "YXCS" or (
            axes[place] in "CS" and image.shape[place] < 2
        ):
            image = image.take(0, axis=place)
            axes = axes[:place] + axes[place + 1 :]
    if axes in ("CYX", "SYX"):
        image = np.moveaxis(image, 0, -1)
    elif axes == "YX":
        image = image[..., None]
    elif axes not in ("YXC", "YXS"):
        raise UnreadablePictureError(f"is a TIFF with axes {axes}, not one image")
    return image


def _upright(image, orientation):
    """An array `(height, width, channels)` as EXIF's number says that it is shown."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def refuse_bomb(width, height, max_pixels):
    """Raises `UnreadablePictureError` if an image is larger than allowed."""
    if width * height > max_pixels:
        raise UnreadablePictureError(
            f"has {width}×{height} = {width * height:,} pixels, over the limit "
            f"`max_pixels` = {max_pixels:,}"
        )


def lay_on_white(image):
    """Blends the last channel, alpha, away."""
    white = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1.0
    alpha = image[..., -1:].astype(np.float64) / white
    blended = image[..., :-1] * alpha + white * (1.0 - alpha)
    if image.dtype.kind in "ui":
        blended = np.rint(blended)
    return blended.astype(image.dtype)
