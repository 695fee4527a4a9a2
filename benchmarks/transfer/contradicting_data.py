"""Images in every pose, and downstream sets that need what one task ignores.

    python benchmarks/transfer/contradicting_data.py --output_dir=runs/data

Each image is turned by a quarter as often as chance says, mirrored or not, inverted or
not: to pre-train on by recipes that contradict each other (`--recipes=contradicting` of
`examples/compare.py`), and to transfer to, four times over, with the class, the turn,
the mirroring and the inversion for a label. Evaluation of the turn needs what the task
of quarter turns throws away, that of the class is served by throwing all three away.
"""

import pathlib

import image_set
import numpy as np
from absl import app, flags

import keras_tc2 as tc2

DATA_DIR = pathlib.Path(__file__).resolve().parents[2] / "examples" / "data"

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", "runs/data", "Where the HDF5 files go.")
flags.DEFINE_string("pretrain_on", "fashion_mnist_subset", "For `data.load`.")
flags.DEFINE_string("transfer_to", "mnist_subset", "For `data.load`.")


def posed(images, seed):
    """Images in random poses, and the poses.

    Args:
        images: uint8 array `(number, side, side, channels)`.
        seed: int.

    Returns:
        `(images, poses)`: a new array of the same shape, and a dict of int arrays
        `(number,)`: `turn` in [0, 4), quarters against the clock, `mirror` and
        `invert` in [0, 2). Mirroring comes before the turn.
    """
    # RandomState's streams are frozen, so any NumPy draws the same poses.
    draw = np.random.RandomState(seed).randint
    number = len(images)
    poses = {
        "turn": draw(4, size=number),
        "mirror": draw(2, size=number),
        "invert": draw(2, size=number),
    }
    mirrored = poses["mirror"] == 1
    images = images.copy()
    images[mirrored] = images[mirrored, :, ::-1]
    for quarters in range(1, 4):
        chosen = poses["turn"] == quarters
        images[chosen] = np.rot90(images[chosen], quarters, axes=(1, 2))
    inverted = poses["invert"] == 1
    images[inverted] = 255 - images[inverted]
    return images, poses


def make(folder, pretrain_on, transfer_to):
    """Writes the files that are not there yet.

    Args:
        folder: path.
        pretrain_on, transfer_to: what `data.load` knows.

    Returns:
        `(pretrain_on, [transfer_to, ...])`, paths of HDF5 files.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for source, labels in (
        (pretrain_on, ("class",)),
        (transfer_to, ("class", "turn", "mirror", "invert")),
    ):
        name = pathlib.Path(source).stem.removesuffix("_subset")
        of_label = {label: folder / f"{name}_posed_{label}.h5" for label in labels}
        paths += of_label.values()
        if all(path.exists() for path in of_label.values()):
            continue
        splits = {}
        for seed, split in enumerate(("train", "test")):
            pairs = tc2.data.load(source, split, labels=True, data_dir=DATA_DIR)
            images, classes = tc2.data.as_arrays(pairs)
            images, poses = posed(images, seed)
            splits[split] = images, {"class": classes, **poses}
        for label, path in of_label.items():
            of_split = {
                split: (images, poses[label].astype("int64"))
                for split, (images, poses) in splits.items()
            }
            image_set.write(path, of_split)
    return paths[0], paths[1:]


def main(_):
    """Writes the files, and tells their names."""
    pretrain_on, transfer_to = make(
        FLAGS.output_dir, FLAGS.pretrain_on, FLAGS.transfer_to
    )
    print(
        f"--pretrain_on={pretrain_on} --transfer_to={','.join(map(str, transfer_to))}"
    )


if __name__ == "__main__":
    app.run(main)
