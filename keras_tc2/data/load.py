"""load: images from wherever they are, as one kind of dataset."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Array, PathLike
from keras_tc2.data.reading.pixel_format import PixelFormat
from keras_tc2.data.sources.array_source import matches_array, read_array
from keras_tc2.data.sources.csv_source import matches_csv, read_csv
from keras_tc2.data.sources.dataset_source import matches_dataset, read_dataset
from keras_tc2.data.sources.folder_source import matches_folder, read_folder
from keras_tc2.data.sources.hdf5_source import matches_hdf5, read_hdf5
from keras_tc2.data.sources.hugging_face_source import (
    matches_hugging_face,
    read_hugging_face,
)
from keras_tc2.data.sources.image_dataset import ImageDataset
from keras_tc2.data.sources.list_source import matches_list, read_list
from keras_tc2.data.sources.numpy_file_source import matches_numpy_file, read_numpy_file
from keras_tc2.data.sources.request import Request
from keras_tc2.data.sources.table_source import matches_frame, read_frame
from keras_tc2.data.sources.tfds_source import (
    matches_name,
    matches_prepared,
    read_name,
    read_prepared,
)
from keras_tc2.data.sources.tfrecord_source import matches_tfrecords, read_tfrecords

# The first kind that recognises a source reads it.
KINDS = (
    (matches_dataset, read_dataset),
    (matches_hugging_face, read_hugging_face),
    (matches_frame, read_frame),
    (matches_list, read_list),
    (matches_array, read_array),
    (matches_csv, read_csv),
    (matches_numpy_file, read_numpy_file),
    (matches_hdf5, read_hdf5),
    (matches_prepared, read_prepared),
    (matches_tfrecords, read_tfrecords),
    (matches_folder, read_folder),
    (matches_name, read_name),
)


def load(
    source: Any,
    split: str = "train",
    *,
    labels: bool | Sequence[Any] | Array = False,
    data_dir: PathLike | None = None,
    image_size: int | Sequence[int] | None = None,
    on_error: str = "raise",
    channels: int | None = None,
    dtype: str | None = None,
    value_range: Sequence[float] | None = None,
    max_skipped_share: float = 0.1,
    max_pixels: int = 178_956_970,
    image_key: str | None = None,
    label_key: str | None = None,
    manifest: PathLike | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageDataset:
    """Images from a dataset, folder, file or array, as one kind of dataset.

    Images are read and decoded in parallel, in a fixed order, and never all at once:
    only arrays that already are in memory stay there. Labels are left out unless they
    are asked for; pre-training never needs them.

    Args:
        source: one of

            - a name of TensorFlow Datasets, such as `"cifar10"`. It is downloaded if
              it is not prepared yet;
            - a folder that TensorFlow Datasets prepared;
            - a folder of images, flat or nested. With `labels=True`, its sub-folders
              are the classes, numbered in the order of their names;
            - a CSV file (commas, semicolons or tabs) with the column `path`, relative
              to the file, and perhaps `label` (numbers or names) and `split`. Without a
              header line, one or two columns, of which one is image files;
            - a data frame, such as one of pandas, with such columns;
            - a `.npy` or HDF5 file of images `(N, H, W, C)`, read as needed;
            - a TFRecord file of encoded images, or a folder of such files;
            - an array of images `(N, H, W, C)`, or a pair `(images, labels)`. Besides
              NumPy's, anything that is indexed like one, such as a memory map or an
              HDF5 dataset, which is then read as needed;
            - a list of paths of image files, of images of Pillow, or of arrays
              `(H, W, C)` or `(H, W)`; or a pair of such a list and labels;
            - an unbatched `tf.data.Dataset` of images, pairs `(image, label)` or
              dicts;
            - a `Dataset` or `DatasetDict` of Hugging Face's package `datasets`.

            A name stands for what is prepared under it in `data_dir`, if that is
            given; else for an existing file or folder; else for a dataset.
        split: str. Split of a dataset, which TensorFlow Datasets lets one cut, as in
            `"train[:80%]"`; or a sub-folder of a folder of images, group of an HDF5
            file or value of the column `split` of a CSV file. What is not divided in
            this way is all `"train"`. Defaults to `"train"`.
        labels: bool. Whether to yield `(image, label)`. Or, for an array or a list, the
            labels themselves, a sequence of numbers or names. Defaults to `False`.
        data_dir: folder where TensorFlow Datasets keeps prepared datasets. Defaults to
            its own.
        image_size: int, or pair (height, width). Images are resized to it by
            antialiased bilinear interpolation, whatever their aspect ratio is.
            `None` leaves them as large as they are. Defaults to `None`.
        on_error: `"raise"` stops at the first image that cannot be read, and says
            which and why; `"skip"` reads all images once, so that their number is
            known, leaves those that cannot be read out, and logs how many and the
            first ten. Should another break later, one that can be read takes its
            place. Defaults to `"raise"`.
        channels: int. Turns grey images (1) to colour (3), or colour ones to grey. Two
            or four keep the transparency of images, or what else their last channel
            is; otherwise transparent images are laid on white. `None` looks at the
            headers of image files: all grey is 1, any colour is 3, and a line says
            when there are both; of other numbers, all images must have the same.
            Defaults to `None`.
        dtype: `"uint8"`, or `"float32"` in [0, 1]. `None` is uint8 for images of 8
            bits and float32 for finer ones; in a folder, the first image decides.
            Defaults to `None`.
        value_range: pair (low, high) of the pixel values that become black and white;
            others are clipped. `None` is the whole range of uint8 and uint16, and
            [0, 1] for floats. Defaults to `None`.
        max_skipped_share: float in [0, 1]. Skipping ends with an error when more than
            this share of the images cannot be read. Defaults to `0.1`.
        max_pixels: int. Larger image files are refused before they are decoded,
            because a few bytes can claim to be terabytes. Beyond the default, raise
            `PIL.Image.MAX_IMAGE_PIXELS` too. Defaults to `178_956_970`.
        image_key: str. The part of a record, or the column of a table, that is the
            image or its path, where it cannot be told. Defaults to `None`.
        label_key: str. Likewise the label. Defaults to `None`.
        manifest: path of a file. The list of a folder's images is saved in it, and
            read from it while no folder has changed; see `FolderManifest`. Defaults to
            `None`.
        class_names: list of str. All classes of a folder, table or list in the order of
            their numbers, so that several folders number them alike; others are an
            error. Of a source of numbers that tells no names, what they stand for.
            `None` numbers those that occur in the order of their names. Defaults to
            `None`.

    Returns:
        Unbatched `tf.data.Dataset` of images `(height, width, channels)`, uint8 or
        float32, or of pairs `(image, label)` with int64 labels. Its `class_names` are
        a list of what the labels stand for, where the source tells, or `None`.

    Raises:
        ValueError: if the source is unknown (with the names that come close and what
            is prepared), is empty, does not have the split or the labels, or holds
            pixels that are NaN, infinite or out of range.
        FileNotFoundError: if a path leads nowhere.
        ReadingError: while the dataset is iterated, if an image cannot be read, or its
            pixels are NaN, infinite or out of range.
        TypeError: if `source` is none of the above.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import data

    images = np.random.randint(0, 256, (10, 32, 32, 3), "uint8")
    dataset = data.load((images, np.arange(10)), labels=True, image_size=28)
    image, label = next(iter(dataset))
    assert image.shape == (28, 28, 3)
    ```
    """
    if not isinstance(labels, bool | np.bool_):
        source, labels = _labelled(source, labels), True
    request = Request(
        source=source,
        split=split,
        labels=labels,
        data_dir=data_dir,
        pixel_format=PixelFormat.requested(
            dtype=dtype,
            channels=channels,
            image_size=image_size,
            value_range=value_range,
        ),
        on_error=checks.one_of("on_error", on_error, ("raise", "skip")),
        max_skipped_share=checks.probability("max_skipped_share", max_skipped_share),
        max_pixels=checks.integer("max_pixels", max_pixels),
        image_key=image_key,
        label_key=label_key,
        manifest=manifest,
        class_names=class_names,
    )
    for matches, read in KINDS:
        if matches(request):
            return read(request)
    if isinstance(source, str | pathlib.PurePath):
        if request.path is None:
            raise FileNotFoundError(f"There is no file or folder {str(source)!r}.")
        raise ValueError(
            f"No reader knows what kind of file {str(source)!r} is: files are .csv, "
            ".npy, HDF5 or TFRecords. Of others give the arrays, as those that "
            "`numpy.load` reads from .npz, and of pictures a list of paths."
        )
    raise TypeError(
        "`source` must be a name, a path, an array, a list of images, a pair (images, "
        "labels), a data frame, or a `tf.data.Dataset`. Received: "
        f"{type(source).__name__}"
    )


def _labelled(source, labels):
    """The pair of images and labels, where they are given apart."""
    if not hasattr(labels, "__len__") or isinstance(labels, str | dict):
        raise ValueError(
            "`labels` must be True, False, or a sequence of a label for each image. "
            f"Received: {labels!r}"
        )
    if not hasattr(source, "__len__") or isinstance(
        source, str | pathlib.PurePath | tf.data.Dataset
    ):
        raise ValueError(
            "`labels=[...]` go with an array or a list of images; other sources have "
            f"their own, `labels=True`. Received: {type(source).__name__} {source!r}"
        )
    return source, labels
