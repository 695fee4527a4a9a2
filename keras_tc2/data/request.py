"""Request: the arguments of `load`, checked, as every source reads them."""

import dataclasses
import pathlib
from typing import Any

from keras_tc2.data.pixel_format import PixelFormat


@dataclasses.dataclass(frozen=True)
class Request:
    """What `load` was asked for; its docstring describes the fields."""

    source: Any
    split: str
    labels: bool
    data_dir: str | None
    pixel_format: PixelFormat
    on_error: str
    max_skipped_share: float
    max_pixels: int
    image_key: str | None
    label_key: str | None
    manifest: str | None
    class_names: tuple | None

    @property
    def path(self):
        """The source as a path, or `None` if it is no path of something that exists."""
        if not isinstance(self.source, str | pathlib.PurePath):
            return None
        path = pathlib.Path(self.source).expanduser()
        return path if path.exists() else None

    def refuse_split(self, what):
        """Raises `ValueError` for a split of a source that has none."""
        if self.split != "train":
            raise ValueError(
                f"{what} has no splits; cut it before loading. Received: "
                f"split={self.split!r}"
            )
