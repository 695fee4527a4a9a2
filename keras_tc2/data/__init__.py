"""Images from wherever they are, and batches of views of them."""

from keras_tc2.data.as_arrays import as_arrays
from keras_tc2.data.load import load
from keras_tc2.data.pipeline.epochs import EpochCounter
from keras_tc2.data.pipeline.view_dataset import ViewDataset
from keras_tc2.data.prune import Pruning, prune
from keras_tc2.data.reading.reading_errors import ReadingError
from keras_tc2.data.sources.folder_manifest import FolderManifest
from keras_tc2.data.sources.image_dataset import ImageDataset
from keras_tc2.data.statistics import ChannelStatistics, channel_statistics
from keras_tc2.data.views import batches, multi_views, two_views

__all__ = [
    "ChannelStatistics",
    "EpochCounter",
    "FolderManifest",
    "ImageDataset",
    "Pruning",
    "ReadingError",
    "ViewDataset",
    "as_arrays",
    "batches",
    "channel_statistics",
    "load",
    "multi_views",
    "prune",
    "two_views",
]


def __dir__() -> list[str]:
    return __all__
