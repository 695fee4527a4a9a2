"""Writes the small datasets of this folder, in TFDS's own on-disk format.

    python examples/data/prepare.py \
        --fashion_mnist_dir=... --mnist_dir=... --pictures_dir=...

The first two directories hold the four gzipped IDX files of their dataset
(`train-images-idx3-ubyte.gz` and so on), the third the HDF5 files that
`benchmarks/transfer/pictures_data.py` writes; digits come with scikit-learn. Writes the
sets whose directory is given, and the digits, in a minute, the same pixels in the same
order each time.
"""

import gzip
import json
import pathlib
import shutil
import struct

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("fashion_mnist_dir", None, "Folder of Fashion-MNIST's IDX files.")
flags.DEFINE_string("mnist_dir", None, "Folder of MNIST's IDX files.")
flags.DEFINE_string("pictures_dir", None, "Folder of `pictures_data.py`.")
flags.DEFINE_string(
    "output_dir", str(pathlib.Path(__file__).parent), "Where the datasets go."
)

VERSION = "1.0.0"
ARTISTS = ("noto", "twemoji", "fluent")
DIGITS = [str(digit) for digit in range(10)]
CLOTHES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


def read_idx(path):
    """Reads one gzipped IDX file of unsigned bytes into an array."""
    with gzip.open(path) as file:
        content = file.read()
    zeros, dtype, num_axes = struct.unpack(">HBB", content[:4])
    if zeros != 0 or dtype != 0x08:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{num_axes}I", content[4 : 4 + 4 * num_axes])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


def idx_split(folder, prefix, size):
    """The first `size` images and labels of a seeded permutation of one IDX split."""
    images = read_idx(pathlib.Path(folder) / f"{prefix}-images-idx3-ubyte.gz")
    labels = read_idx(pathlib.Path(folder) / f"{prefix}-labels-idx1-ubyte.gz")
    # RandomState's streams are frozen, so any NumPy draws the same subset.
    chosen = np.random.RandomState(0).permutation(len(images))[:size]
    return images[chosen], labels[chosen]


def digits_splits(num_train):
    """Scikit-learn's 8×8 digits, scaled to [0, 255] and enlarged to 28×28."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images[..., np.newaxis] * (255 / 16)
    images = tf.image.resize(images, (28, 28), method="bilinear")
    images = np.rint(images.numpy()).astype(np.uint8)[..., 0]
    order = np.random.RandomState(0).permutation(len(images))
    train, test = order[:num_train], order[num_train:]
    return {
        "train": (images[train], digits.target[train]),
        "test": (images[test], digits.target[test]),
    }


def emoji_splits(folder, sizes):
    """The first emoji of three artists, in one random order, and who drew them."""
    splits = {}
    for split, size in sizes.items():
        images, labels = [], []
        for artist in ARTISTS:
            with h5py.File(pathlib.Path(folder) / f"emoji_{artist}.h5") as file:
                images.append(file[f"{split}/image"][:size])
                labels.append(file[f"{split}/label"][:size])
                names = list(file.attrs["class_names"])
        order = np.random.RandomState(0).permutation(size * len(ARTISTS))
        images, labels = np.concatenate(images)[order], np.concatenate(labels)[order]
        splits[split] = images, labels, np.repeat(range(len(ARTISTS)), size)[order]
    return splits, names


def write_dataset(
    name, splits, *, class_names, description, homepage, output_dir, **columns
):
    """Writes `{split: (images, labels, ...)}` as the TFDS dataset `name`.

    What comes after the labels is `columns`, names of features and of their values.

    The PNGs are written without compression and the shards with it: thousands of
    small images that share one Zstandard stream take three quarters of what they
    take as compressed PNGs one by one.
    """
    shutil.rmtree(pathlib.Path(output_dir) / name, ignore_errors=True)
    shape = np.atleast_3d(splits["train"][0][0]).shape
    columns = {"label": class_names, **columns}
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=shape),
            **{
                column: tfds.features.ClassLabel(names=names)
                for column, names in columns.items()
            },
        }
    )
    examples = {
        split: [
            (
                index,
                {
                    "image": tf.io.encode_png(
                        np.atleast_3d(image), compression=0
                    ).numpy(),
                    **dict(zip(columns, map(int, values), strict=True)),
                },
            )
            for index, (image, *values) in enumerate(zip(*arrays, strict=True))
        ]
        for split, arrays in splits.items()
    }
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name,
        VERSION,
        features,
        examples,
        data_dir=output_dir,
        description=description,
        homepage=homepage,
        disable_shuffling=True,
    )
    tfrecord_to_parquet(pathlib.Path(builder.data_dir))


def tfrecord_to_parquet(folder):
    """Turns the TFRecord shards of a prepared TFDS directory into Parquet shards.

    TFDS reads Parquet, but its writer (4.9.10) loses every example past the first
    few hundred of an iterator and compresses lightly, so the shards are written here.
    """
    for shard in folder.glob("*.tfrecord-*"):
        examples = [record.numpy() for record in tf.data.TFRecordDataset(str(shard))]
        pyarrow.parquet.write_table(
            pyarrow.table({"data": pyarrow.array(examples, pyarrow.binary())}),
            folder / shard.name.replace(".tfrecord-", ".parquet-"),
            compression="zstd",
            compression_level=22,
            use_dictionary=False,
            write_statistics=False,
            data_page_size=2**30,
        )
        shard.unlink()
    info_path = folder / "dataset_info.json"
    info = json.loads(info_path.read_text())
    info["fileFormat"] = "parquet"
    info_path.write_text(json.dumps(info, indent=2) + "\n")


def main(_):
    """Writes the datasets."""
    if FLAGS.fashion_mnist_dir:
        write_dataset(
            "fashion_mnist_subset",
            {
                "train": idx_split(FLAGS.fashion_mnist_dir, "train", 20_000),
                "test": idx_split(FLAGS.fashion_mnist_dir, "t10k", 5_000),
            },
            class_names=CLOTHES,
            description="20,000 of 60,000 training and 5,000 of 10,000 test images of "
            "Fashion-MNIST. Copyright 2017 Zalando SE, MIT licence.",
            homepage="https://github.com/zalandoresearch/fashion-mnist",
            output_dir=FLAGS.output_dir,
        )
    if FLAGS.mnist_dir:
        write_dataset(
            "mnist_subset",
            {
                "train": idx_split(FLAGS.mnist_dir, "train", 5_000),
                "test": idx_split(FLAGS.mnist_dir, "t10k", 2_000),
            },
            class_names=DIGITS,
            description="5,000 of 60,000 training and 2,000 of 10,000 test images of "
            "MNIST. Copyright Yann LeCun and Corinna Cortes, CC BY-SA 3.0.",
            homepage="http://yann.lecun.com/exdb/mnist/",
            output_dir=FLAGS.output_dir,
        )
    if FLAGS.pictures_dir:
        splits, groups = emoji_splits(FLAGS.pictures_dir, {"train": 300, "test": 80})
        write_dataset(
            "emoji_subset",
            splits,
            class_names=groups,
            artist=ARTISTS,
            description="1,140 emoji by three artists, 32×32 in color: Noto "
            "(Apache-2.0), Twemoji (CC BY 4.0) and Fluent (MIT).",
            homepage="https://iconify.design",
            output_dir=FLAGS.output_dir,
        )
    write_dataset(
        "digits_28px",
        digits_splits(1_000),
        class_names=DIGITS,
        description="The 1,797 8×8 digits that scikit-learn ships (UCI Optical "
        "Recognition of Handwritten Digits, test part), enlarged to 28×28. CC BY 4.0.",
        homepage="https://archive.ics.uci.edu/dataset/80",
        output_dir=FLAGS.output_dir,
    )


if __name__ == "__main__":
    app.run(main)
