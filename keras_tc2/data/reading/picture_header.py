"""How many channels an encoded image has, from its first bytes alone."""

from keras_tc2.data.reading.read_picture import (
    PNG_START,
    TIFF_STARTS,
    declares_channels,
    is_plain,
    open_with_pillow,
)

JPEG_START = b"\xff\xd8"
# Markers that begin a frame; the others between C0 and CF are tables.
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PNG_GREY_TYPES = (0, 4)
GREY_MODES = ("1", "L", "LA", "La", "I", "F")


def channels_of(file):
    """Channels of an image once its transparency is laid on white.

    Args:
        file: binary file at its beginning.

    Returns:
        int: 1 for grey and 3 for colour, other numbers for TIFFs that have them; or
        `None` if the header cannot be read. The rest of the file may still be broken.
    """
    try:
        start = file.read(26)
        if start.startswith(PNG_START):
            return 1 if start[25] in PNG_GREY_TYPES else 3
        if start.startswith(JPEG_START):
            return 1 if _jpeg_components(file) == 1 else 3
        file.seek(0)
        if start.startswith(TIFF_STARTS):
            return _tiff_channels(file)
        return _pillow_channels(file)
    except Exception:
        # Decoding will find the same fault, and name it.
        return None


def _jpeg_components(file):
    """Number of components of the first frame."""
    file.seek(2)
    while True:
        marker = file.read(2)
        if len(marker) < 2 or marker[0] != 0xFF:
            raise ValueError("no frame")
        if marker[1] == 0xFF:
            file.seek(-1, 1)
            continue
        length = int.from_bytes(file.read(2), "big")
        if marker[1] in JPEG_FRAMES:
            return file.read(6)[5]
        file.seek(length - 2, 1)


def _tiff_channels(file):
    try:
        import tifffile
    except ImportError:
        return _pillow_channels(file)
    with tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        if is_plain(series):
            file.seek(0)
            return _pillow_channels(file)
        page = series.keyframe
        of = series if declares_channels(series) else page
        sizes = dict(zip(of.axes, of.shape, strict=True))
        channels = max(sizes.get("C", 1), sizes.get("S", 1))
        has_alpha = page.extrasamples in ((1,), (2,))
        return channels - 1 if has_alpha and channels in (2, 4) else channels


def _pillow_channels(file):
    with open_with_pillow(file) as picture:
        mode = picture.mode
    return 1 if mode in GREY_MODES or mode.startswith("I;16") else 3
