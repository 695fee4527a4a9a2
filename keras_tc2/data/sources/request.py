"""Request: the arguments of `load`, checked, as every source reads them."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_tc2.annotations import PathLike
from keras_tc2.data.reading.pixel_format import PixelFormat


@dataclasses.dataclass(frozen=True)
class Request:
    """What `load` was asked for; its docstring describes the fields."""

    source: Any
    split: str
    labels: bool
    data_dir: PathLike | None
    pixel_format: PixelFormat
    on_error: str
    max_skipped_share: float
    max_pixels: int
    image_key: str | None
    label_key: str | None
    manifest: PathLike | None
    class_names: Sequence[str] | None

    @property
    def path(self):
        """The source as a path of something that exists, or `None`.

        A name that is prepared in `data_dir` is that dataset, not a path.
        """
        if not isinstance(self.source, str | pathlib.PurePath):
            return None
        if isinstance(self.source, str) and self._is_prepared_name:
            return None
        path = pathlib.Path(self.source).expanduser()
        return path if path.exists() else None

    @property
    def _is_prepared_name(self):
        if self.data_dir is None or pathlib.PurePath(self.source).is_absolute():
            return False
        folder = pathlib.Path(self.data_dir).expanduser() / self.source.split(":")[0]
        return any(
            any(folder.glob(f"{depth}dataset_info.json")) for depth in ("*/", "*/*/")
        )

    def refuse_split(self, what):
        """Raises `ValueError` for a split of a source that has none."""
        if self.split != "train":
            raise ValueError(
                f"{what} has no splits; cut it before loading. Received: "
                f"split={self.split!r}"
            )
